import { digest } from '../../../internal/digest.ts'
import type { Dockerode } from '../engine/dockerode-types.ts'
import { PLACE_LABEL } from '../container/owner.ts'

/** A registry's name in front, so that no prefix for Docker Hub's images is put there. */
const REPOSITORY = 'localhost/vitest-infra-snapshot'

const KEY_LABEL = 'vitest-infra.snapshot'
const PROJECT_LABEL = 'vitest-infra.snapshot.project'
const CREATED_LABEL = 'vitest-infra.snapshot.created'

/** How many are retained for a project: the current branch, and one or two others. */
const KEPT = 3

/** An image has no name for a moment before it gets one; another run may be at that. */
const NAMING_LIMIT_MS = 60_000

/** How many snapshots were removed, and how many could not be, as a server runs from them. */
export interface RemovedSnapshots {
  readonly removed: number
  readonly inUse: number
}

/** What a snapshot is good for. */
export interface SnapshotIdentity {
  /** Id of the image that it adds to. */
  readonly image: string
  /** The project's folder. */
  readonly root: string
  readonly key: string
}

/** The images of the engine that hold snapshots, named and labelled so that nothing else needs to know of them. */
export class SnapshotImages {
  readonly #dockerode: Dockerode

  constructor(dockerode: Dockerode) {
    this.#dockerode = dockerode
  }

  /** The name under which a snapshot would be found. */
  static nameOf({ image, root, key }: SnapshotIdentity): string {
    return `${REPOSITORY}:${shortDigest(JSON.stringify([image, root, key]))}`
  }

  static labelsOf(identity: SnapshotIdentity): Record<string, string> {
    return {
      [KEY_LABEL]: shortDigest(identity.key),
      [PROJECT_LABEL]: shortDigest(identity.root),
      [CREATED_LABEL]: new Date().toISOString(),
      // An image hands its labels on to containers: none may seem to be of the process that took the snapshot.
      [PLACE_LABEL]: '',
    }
  }

  async has(name: string): Promise<boolean> {
    return this.#dockerode
      .getImage(name)
      .inspect()
      .then(
        () => true,
        () => false,
      )
  }

  /** Removes the oldest of a project's, and those whose name went to a newer one. */
  async removeOld(root: string, signal: AbortSignal): Promise<void> {
    const images = await this.#list(`${PROJECT_LABEL}=${shortDigest(root)}`, signal)
    const newestFirst = images.filter(isNamed).toSorted((left, right) => createdAt(right) - createdAt(left))
    const nameless = images.filter((image) => !isNamed(image) && Date.now() - createdAt(image) > NAMING_LIMIT_MS)
    for (const { Id } of [...newestFirst.slice(KEPT), ...nameless]) {
      await this.remove(Id, { signal })
    }
  }

  /** Removes every snapshot of a project, or of all. */
  async removeAll(root?: string): Promise<RemovedSnapshots> {
    const images = await this.#list(root === undefined ? KEY_LABEL : `${PROJECT_LABEL}=${shortDigest(root)}`)
    const outcomes = await Promise.all(images.map(({ Id }) => this.remove(Id, { force: true })))
    const removed = outcomes.filter(Boolean).length
    return { removed, inUse: outcomes.length - removed }
  }

  /** Returns whether it is gone; one that a container runs from stays. */
  async remove(
    name: string,
    { force = false, signal }: { readonly force?: boolean; readonly signal?: AbortSignal } = {},
  ): Promise<boolean> {
    try {
      await this.#dockerode.getImage(name).remove({ force, ...(signal && { abortSignal: signal }) })
      return true
    } catch (error) {
      const { statusCode } = error as { statusCode?: number }
      if (statusCode !== 404 && statusCode !== 409) {
        throw error
      }
      return statusCode === 404
    }
  }

  async #list(label: string, abortSignal?: AbortSignal): Promise<ImageInfo[]> {
    return this.#dockerode.listImages({ filters: { label: [label] }, ...(abortSignal && { abortSignal }) })
  }
}

/** Half of it is enough to tell images of one engine apart. */
function shortDigest(text: string): string {
  return digest(text).slice(0, 32)
}

type ImageInfo = Awaited<ReturnType<Dockerode['listImages']>>[number]

function isNamed({ RepoTags }: ImageInfo): boolean {
  return (RepoTags ?? []).some((tag) => tag.startsWith(`${REPOSITORY}:`))
}

function createdAt({ Labels }: ImageInfo): number {
  return Date.parse(Labels[CREATED_LABEL] ?? '')
}
