import { InfraError, messageOf } from '../../../errors.ts'
import type { Report } from '../../../report/events.ts'
import type { KeepSnapshot, ServiceDefinition, SnapshotDefinition, SnapshotUse } from '../../../services/service.ts'
import type { Container, Dockerode } from '../engine/dockerode-types.ts'
import type { Engine } from '../engine/find-engine.ts'
import { COPY_FOLDER, keepSnapshot, SNAPSHOT_FOLDER } from './keep-snapshot.ts'
import { removeContainer } from '../container/remove-container.ts'
import { SnapshotImages } from './snapshot-images.ts'
import type { StartGuard } from '../container/start-guard.ts'

/** Puts the data of a snapshot in place, then becomes what the image's own entrypoint starts where it finds data. */
const RESTORE_AND_START = `export snapshot=${SNAPSHOT_FOLDER}; sh -c "$1" || exit; shift; exec "$@"`

/** What the engine knows of an image. */
export interface ImageFacts {
  readonly id: string
  readonly entrypoint: readonly string[]
  readonly command: readonly string[]
  /** The folders that it declares as volumes: where its server keeps its data. */
  readonly volumes: readonly string[]
}

/** What a container is made from. */
export interface ContainerSource {
  /** The container's name: of its own for each attempt, since the one that failed may take a while to be gone. */
  readonly name: string
  readonly image: string
  readonly entrypoint: readonly string[]
  /** What it runs where nothing else is wanted. */
  readonly command: readonly string[]
}

export interface DockerSnapshotOptions {
  readonly dockerode: Dockerode
  readonly engine: Engine
  readonly guard: StartGuard
  readonly definition: SnapshotDefinition
  readonly image: ImageFacts
  readonly root: string
  /** The name and the labels of the server's container. */
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
}

/** The snapshot of a service: an image, if it was ever taken. */
export class DockerSnapshot {
  readonly #options: DockerSnapshotOptions
  readonly #images: SnapshotImages
  readonly #name: string

  constructor(options: DockerSnapshotOptions) {
    this.#options = options
    this.#images = new SnapshotImages(options.dockerode)
    this.#name = SnapshotImages.nameOf(this.#identity)
  }

  /** Starts a server from it; nothing where there is none, or where the engine cannot make a container of it. */
  async start<T>(
    start: (source: ContainerSource) => Promise<T>,
    { service, report }: { readonly service: string; readonly report: Report },
  ): Promise<T | undefined> {
    const { definition, image, engine } = this.#options
    const name = `${this.#options.name}-restored`
    if (!(await this.#images.has(this.#name))) {
      return undefined
    }
    const entrypoint = ['sh', '-c', RESTORE_AND_START, 'sh', definition.restore, ...image.entrypoint]
    try {
      return await start({ name, image: this.#name, entrypoint, command: image.command })
    } catch (error) {
      await removeContainer(engine, name).catch(() => {})
      // Another run may have removed it meanwhile, as an old one.
      if (await this.#images.has(this.#name)) {
        await this.#discard()
        report({ type: 'snapshot-discarded', service, reason: messageOf(error) })
      }
      return undefined
    }
  }

  /** What the data of a server has to do with it. */
  useOf(container: Container, { isRestored }: { readonly isRestored: boolean }): SnapshotUse {
    return isRestored
      ? { kind: 'restored', discard: () => this.#discard() }
      : { kind: 'missing', folder: COPY_FOLDER, keep: (...signals) => this.#keep(container, ...signals) }
  }

  async #keep(container: Container, ...signals: Parameters<KeepSnapshot>): Promise<void> {
    const { dockerode, engine, guard, image, name, labels } = this.#options
    const identity = this.#identity
    const { volumes } = image
    const options = { dockerode, engine, guard, container, identity, name: `${name}-snapshot`, labels, volumes }
    await keepSnapshot(options, ...signals)
  }

  /** Takes its name away at least: servers of other runs may be running from it. */
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

/** The snapshot that a service's data would be found in, if it is to be kept at all. */
export function openSnapshot(
  { snapshot: definition }: ServiceDefinition,
  options: Omit<DockerSnapshotOptions, 'definition'>,
): DockerSnapshot | undefined {
  return definition && new DockerSnapshot({ ...options, definition })
}
