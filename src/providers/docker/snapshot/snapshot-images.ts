import { digest } from '../../../internal/digest.ts'
import type { EngineApi, ImageSummary } from '../engine/engine-api.ts'
import { type EngineRefusal, isGone } from '../engine/engine-errors.ts'
import { PLACE_LABEL } from '../container/owner.ts'

/** With a registry, so that `TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX` does not change it. */
const REPOSITORY = 'localhost/vitest-infra-snapshot'

const KEY_LABEL = 'vitest-infra.snapshot'
const PROJECT_LABEL = 'vitest-infra.snapshot.project'
const CREATED_LABEL = 'vitest-infra.snapshot.created'

/** How many snapshots a project retains: one for the current branch, and two more. */
const RETAINED = 3

/** Another run may just have created a nameless image and be about to name it. */
const NAMING_TIMEOUT_MS = 60_000

/** How many snapshots were removed, and how many stay because a server runs from them. */
export interface RemovedSnapshots {
  readonly removed: number
  readonly inUse: number
}

/** The servers that a snapshot fits. */
export interface SnapshotIdentity {
  /** Id of the service's image. */
  readonly image: string
  /** The project's folder. */
  readonly root: string
  readonly key: string
}

/** The images in which an engine stores snapshots. Names and labels identify them; there is no other register. */
export class SnapshotImages {
  readonly #api: EngineApi

  constructor(api: EngineApi) {
    this.#api = api
  }

  /** The name of a snapshot's image, which need not exist. */
  static nameOf({ image, root, key }: SnapshotIdentity): string {
    return `${REPOSITORY}:${shortDigest(JSON.stringify([image, root, key]))}`
  }

  static labelsOf(identity: SnapshotIdentity): Record<string, string> {
    return {
      [KEY_LABEL]: shortDigest(identity.key),
      [PROJECT_LABEL]: shortDigest(identity.root),
      [CREATED_LABEL]: new Date().toISOString(),
      // Containers inherit the labels of their image: they must not seem to belong to the process that took the snapshot.
      [PLACE_LABEL]: '',
    }
  }

  async has(name: string): Promise<boolean> {
    return this.#api.findImage(name).then(
      (image) => image !== undefined,
      // A server can do without a snapshot.
      () => false,
    )
  }

  /** Removes the oldest snapshots of a project, and those that lost their name to a newer one. */
  async removeOld(root: string, signal: AbortSignal): Promise<void> {
    const images = await this.#api.listImages(labelOf(root), signal)
    const newestFirst = images.filter(isNamed).toSorted((left, right) => createdAt(right) - createdAt(left))
    const nameless = images.filter((image) => !isNamed(image) && Date.now() - createdAt(image) > NAMING_TIMEOUT_MS)
    for (const { Id } of [...newestFirst.slice(RETAINED), ...nameless]) {
      await this.remove(Id, { signal })
    }
  }

  /** Removes every snapshot of a project, or of all projects. */
  async removeAll(root?: string): Promise<RemovedSnapshots> {
    const images = await this.#api.listImages(root === undefined ? KEY_LABEL : labelOf(root))
    const outcomes = await Promise.all(images.map(({ Id }) => this.remove(Id, { force: true })))
    const removed = outcomes.filter(Boolean).length
    return { removed, inUse: outcomes.length - removed }
  }

  /** Resolves to whether the image is gone; it stays while a container runs from it. */
  async remove(
    name: string,
    { force = false, signal }: { readonly force?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<boolean> {
    try {
      await this.#api.removeImage(name, { force, signal })
      return true
    } catch (error) {
      if (isGone(error)) {
        return (error as EngineRefusal).statusCode === 404
      }
      throw error
    }
  }
}

function labelOf(root: string): string {
  return `${PROJECT_LABEL}=${shortDigest(root)}`
}

/** Half a digest is enough to distinguish the images of one engine. */
function shortDigest(text: string): string {
  return digest(text).slice(0, 32)
}

function isNamed({ RepoTags }: ImageSummary): boolean {
  return (RepoTags ?? []).some((tag) => tag.startsWith(`${REPOSITORY}:`))
}

function createdAt({ Labels }: ImageSummary): number {
  return Date.parse(Labels?.[CREATED_LABEL] ?? '')
}
