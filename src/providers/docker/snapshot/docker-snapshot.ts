import { COPY_FOLDER, SNAPSHOT_FOLDER } from '../../../internal/names.ts'
import { InfraError, messageOf } from '../../../errors.ts'
import type { Report } from '../../../report/events.ts'
import type { KeepSnapshot, ServiceDefinition, SnapshotDefinition, SnapshotUse } from '../../../services/service.ts'
import type { EngineApi } from '../engine/engine-api.ts'
import { keepSnapshot } from './keep-snapshot.ts'
import { SnapshotImages } from './snapshot-images.ts'
import type { StartGuard } from '../container/start-guard.ts'

/** A script that restores the data of a snapshot, then runs the image's own entrypoint, which finds that data. */
const RESTORE_AND_START = `export snapshot=${SNAPSHOT_FOLDER}; sh -c "$1" || exit; shift; exec "$@"`

/** An image as the engine describes it. */
export interface ImageFacts {
  readonly id: string
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  /** The folders that the image declares as volumes. They contain the server's data. */
  readonly volumes: readonly string[]
}

/** The name, image and command line of a container to create. */
export interface ContainerSource {
  /**
   * The container's name. Each attempt uses another name, because the name of a failed container is free only once that
   * is removed.
   */
  readonly name: string
  readonly image: string
  readonly entrypoint: readonly string[]
  /** The image's default command. */
  readonly command: readonly string[]
}

export interface DockerSnapshotOptions {
  readonly api: EngineApi
  readonly guard: StartGuard
  readonly definition: SnapshotDefinition
  readonly image: ImageFacts
  readonly root: string
  /** Name of the server's container; related containers add a suffix to it. */
  readonly name: string
  /** Labels of the server's container. */
  readonly labels: Readonly<Record<string, string>>
}

/** The snapshot of a service. It is an image, which exists once a run has taken the snapshot. */
export class DockerSnapshot {
  readonly #options: DockerSnapshotOptions
  readonly #images: SnapshotImages
  readonly #name: string

  constructor(options: DockerSnapshotOptions) {
    this.#options = options
    this.#images = new SnapshotImages(options.api)
    this.#name = SnapshotImages.nameOf(this.#identity)
  }

  /**
   * Starts a server from the snapshot. Resolves to undefined if there is no snapshot, or if the engine cannot start a
   * container from it.
   */
  async start<T>(
    start: (source: ContainerSource) => Promise<T>,
    { service, report }: { readonly service: string; readonly report: Report },
  ): Promise<T | undefined> {
    const { api, definition, image } = this.#options
    const name = `${this.#options.name}-restored`
    if (!(await this.#images.has(this.#name))) {
      return undefined
    }
    const entrypoint = ['sh', '-c', RESTORE_AND_START, 'sh', definition.restore, ...image.entrypoint]
    try {
      return await start({ name, image: this.#name, entrypoint, command: image.command })
    } catch (error) {
      await api.removeContainer(name).catch(() => {})
      // If another run has removed the image meanwhile, the snapshot is not the cause.
      if (await this.#images.has(this.#name)) {
        await this.#discard()
        report({ type: 'snapshot-discarded', service, reason: messageOf(error) })
      }
      return undefined
    }
  }

  /** Returns how the server in a container uses the snapshot. */
  useOf(container: string, { isRestored }: { readonly isRestored: boolean }): SnapshotUse {
    return isRestored
      ? { kind: 'restored', discard: () => this.#discard() }
      : { kind: 'missing', folder: COPY_FOLDER, keep: (...signals) => this.#keep(container, ...signals) }
  }

  async #keep(container: string, ...signals: Parameters<KeepSnapshot>): Promise<void> {
    const { api, guard, image, name, labels } = this.#options
    const { volumes } = image
    const options = { api, guard, container, identity: this.#identity, name: `${name}-snapshot`, labels, volumes }
    await keepSnapshot(options, ...signals)
  }

  /** Removes the snapshot, or at least its name if servers of other runs still run from the image. */
  async #discard(): Promise<void> {
    try {
      await this.#images.remove(this.#name, { force: true })
    } catch (error) {
      throw new InfraError('INFRA_SERVICE_START', {
        problem: `Cannot throw away a snapshot from which no server starts: ${messageOf(error)}`,
        remedy: `Remove it with: docker rmi -f ${this.#name}`,
        provider: 'docker',
        cause: error,
      })
    }
  }

  get #identity() {
    const { image, root, definition } = this.#options
    return { image: image.id, root, key: definition.key }
  }
}

/** Returns the snapshot of a service; undefined if the service uses none. */
export function openSnapshot(
  { snapshot: definition }: ServiceDefinition,
  options: Omit<DockerSnapshotOptions, 'definition'>,
): DockerSnapshot | undefined {
  return definition && new DockerSnapshot({ ...options, definition })
}
