import { pipeline } from 'node:stream/promises'
import { PassThrough } from 'node:stream'
import type { Container, Dockerode } from '../engine/dockerode-types.ts'
import type { Engine } from '../engine/find-engine.ts'
import { removeContainer } from '../container/remove-container.ts'
import { type SnapshotIdentity, SnapshotImages } from './snapshot-images.ts'
import type { StartGuard } from '../container/start-guard.ts'
import { attach, OPEN_INPUT } from '../container/tie.ts'

/** Where the copy is made in the server's container: not in a volume and not in memory, as neither can be read from outside. */
export const COPY_FOLDER = '/tmp/vitest-infra-snapshot'

/** Its folder in the image. */
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
 * Makes an image of the copy in {@link COPY_FOLDER}. It is made from a container of its own: an image of the
 * server's would hold the password, since engines keep the whole environment in it, and whatever else was written there.
 */
export async function keepSnapshot(options: KeepOptions, signal: AbortSignal, letGo: AbortSignal): Promise<void> {
  const { dockerode, engine, guard, identity } = options
  signal.throwIfAborted()
  const container = await guard.during(() => startEmpty(options, letGo))
  try {
    await copyFolder(options.container, container, AbortSignal.any([signal, letGo]))
    signal.throwIfAborted()
    await commit({ dockerode, container, identity }, letGo)
  } finally {
    await removeContainer(engine, container.id, letGo)
  }
  await new SnapshotImages(dockerode).removeOld(identity.root, letGo)
}

async function startEmpty(
  { dockerode, engine, identity, name, labels, volumes }: KeepOptions,
  letGo: AbortSignal,
): Promise<Container> {
  const container = await dockerode.createContainer({
    abortSignal: letGo,
    name,
    Image: identity.image,
    Labels: labels,
    HostConfig: { AutoRemove: true, Tmpfs: Object.fromEntries(volumes.map((volume) => [volume, 'rw'])) },
    ...LIVES_AS_LONG_AS_WE,
  })
  try {
    const stream = await attach(container, letGo)
    stream.on('error', () => {})
    await container.start({ abortSignal: letGo })
    return container
  } catch (error) {
    await removeContainer(engine, container.id, letGo)
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

interface Commit {
  readonly dockerode: Dockerode
  readonly container: Container
  readonly identity: SnapshotIdentity
}

/**
 * The image gets its name when it is whole: of a container that ends meanwhile, as with a run that cannot wait any longer,
 * the engine makes an image that lacks files. One without a name is removed by a later run.
 */
async function commit({ dockerode, container, identity }: Commit, abortSignal: AbortSignal): Promise<void> {
  const Labels = SnapshotImages.labelsOf(identity)
  const query = { container: container.id, pause: false }
  const { Id } = (await container.commit({ abortSignal, _query: query, _body: { Labels } })) as { Id: string }
  abortSignal.throwIfAborted()
  const [repo = '', tag = ''] = SnapshotImages.nameOf(identity).split(':')
  await dockerode.getImage(Id).tag({ abortSignal, repo, tag })
}
