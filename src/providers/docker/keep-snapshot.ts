import { pipeline } from 'node:stream/promises'
import { PassThrough } from 'node:stream'
import type { Container, Dockerode } from './dockerode-types.ts'
import type { Engine } from './find-engine.ts'
import { removeContainer } from './remove-container.ts'
import { type SnapshotIdentity, SnapshotImages } from './snapshot-images.ts'
import type { StartGuard } from './start-guard.ts'
import { attach, OPEN_INPUT } from './tie.ts'

/** Where the copy is made in the server's container: not in a volume and not in memory, as neither can be read from outside. */
export const COPY_FOLDER = '/tmp/vitest-infra-snapshot'

/** Where it stands in the image. */
export const SNAPSHOT_FOLDER = '/vitest-infra-snapshot'

export interface KeepOptions {
  readonly dockerode: Dockerode
  readonly engine: Engine
  readonly guard: StartGuard
  /** The server's. */
  readonly container: Container
  readonly identity: SnapshotIdentity
  /** Of the container that the image is made from. */
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  /** The folders that the image declares as volumes. */
  readonly volumes: readonly string[]
}

/** Ends when its input does: with this process, at the latest. */
const LIVES_AS_LONG_AS_WE = { Entrypoint: ['cat'], Cmd: [], ...OPEN_INPUT }

/**
 * Makes an image of the copy that lies in {@link COPY_FOLDER}. It is made from a container of its own: an image of the
 * server's would hold the password, since engines keep the whole environment in it, and whatever else was written there.
 */
export async function keepSnapshot(options: KeepOptions, signal: AbortSignal): Promise<void> {
  const { dockerode, engine, guard, identity } = options
  signal.throwIfAborted()
  const container = await guard.during(() => startEmpty(options))
  try {
    await copyFolder(options.container, container, signal)
    signal.throwIfAborted()
    // Not to be aborted: of a container that is removed meanwhile, the engine makes an image that lacks files.
    await commit(container, identity)
  } finally {
    await removeContainer(engine, container.id)
  }
  await new SnapshotImages(dockerode).removeOld(identity.root)
}

async function startEmpty({ dockerode, engine, identity, name, labels, volumes }: KeepOptions): Promise<Container> {
  const container = await dockerode.createContainer({
    name,
    Image: identity.image,
    Labels: labels,
    HostConfig: { AutoRemove: true, Tmpfs: Object.fromEntries(volumes.map((volume) => [volume, 'rw'])) },
    ...LIVES_AS_LONG_AS_WE,
  })
  try {
    const stream = await attach(container)
    stream.on('error', () => {})
    await container.start()
    return container
  } catch (error) {
    await removeContainer(engine, container.id)
    throw error
  }
}

async function copyFolder(from: Container, to: Container, signal: AbortSignal): Promise<void> {
  const failure = new AbortController()
  const abortSignal = AbortSignal.any([signal, failure.signal])
  const archive = await from.getArchive({ path: COPY_FOLDER, abortSignal })
  const passed = new PassThrough()
  // The engine would wait for the rest of an archive that ends before its end.
  const read = pipeline(archive, passed).catch((error: unknown) => failure.abort(error))
  await to.putArchive(passed, { path: '/', abortSignal })
  await read
}

async function commit(container: Container, identity: SnapshotIdentity): Promise<void> {
  const [repo, tag] = SnapshotImages.nameOf(identity).split(':')
  const Labels = SnapshotImages.labelsOf(identity)
  await container.commit({ _query: { container: container.id, repo, tag, pause: false }, _body: { Labels } })
}
