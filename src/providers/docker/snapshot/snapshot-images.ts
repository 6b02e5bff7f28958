import { LABEL, SNAPSHOT_REPOSITORY } from '../../../internal/names.ts'
import { digest } from '../../../internal/digest.ts'
import type { EngineApi, ImageSummary } from '../engine/engine-api.ts'
import { type EngineRefusal, isGone } from '../engine/engine-errors.ts'

/** The number of snapshots that a project retains: one for the current branch, and two more. */
const RETAINED = 3

/** Minimum age of a nameless image that is removed, because another run may be about to name a new one. */
const NAMING_TIMEOUT_MS = 60_000

/** The numbers of snapshots that were removed, and of those that remain because a server runs from them. */
export interface RemovedSnapshots {
  readonly removed: number
  readonly inUse: number
}

/** Identifies the servers that can start from a snapshot. */
export interface SnapshotIdentity {
  /** Id of the service's image. */
  readonly image: string
  /** The project's folder. */
  readonly root: string
  readonly key: string
}

/** The images in which an engine stores snapshots. Only names and labels identify them. */
export class SnapshotImages {
  readonly #api: EngineApi

  constructor(api: EngineApi) {
    this.#api = api
  }

  /** Returns the name of a snapshot's image, which need not exist. */
  static nameOf({ image, root, key }: SnapshotIdentity): string {
    return `${SNAPSHOT_REPOSITORY}:${shortDigest(JSON.stringify([image, root, key]))}`
  }

  static labelsOf(identity: SnapshotIdentity): Record<string, string> {
    return {
      [LABEL.snapshot]: shortDigest(identity.key),
      [LABEL.snapshotProject]: shortDigest(identity.root),
      [LABEL.snapshotCreated]: new Date().toISOString(),
      // Containers inherit the labels of their image. Without this empty label, they could seem to belong to the
      // process that took the snapshot.
      [LABEL.ownerPlace]: '',
    }
  }

  async has(name: string): Promise<boolean> {
    return this.#api.findImage(name).then(
      (image) => image !== undefined,
      // A server can start without a snapshot.
      () => false,
    )
  }

  /** Removes the oldest snapshots of a project, and images that lost their name to a newer snapshot. */
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
    const images = await this.#api.listImages(root === undefined ? LABEL.snapshot : labelOf(root))
    const outcomes = await Promise.all(images.map(({ Id }) => this.remove(Id, { force: true })))
    const removed = outcomes.filter(Boolean).length
    return { removed, inUse: outcomes.length - removed }
  }

  /** Removes an image. Resolves to whether the image is gone; it remains while a container runs from it. */
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
  return `${LABEL.snapshotProject}=${shortDigest(root)}`
}

/** Half a digest is enough to distinguish the images of one engine. */
function shortDigest(text: string): string {
  return digest(text).slice(0, 32)
}

function isNamed({ RepoTags }: ImageSummary): boolean {
  return (RepoTags ?? []).some((tag) => tag.startsWith(`${SNAPSHOT_REPOSITORY}:`))
}

function createdAt({ Labels }: ImageSummary): number {
  return Date.parse(Labels?.[LABEL.snapshotCreated] ?? '')
}
