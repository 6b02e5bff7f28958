import type { EngineApi } from '../engine/engine-api.ts'
import { type SnapshotIdentity, SnapshotImages } from './snapshot-images.ts'
import type { StartGuard } from '../container/start-guard.ts'
import { OPEN_INPUT } from '../container/tie.ts'

/** Where the server's container holds the copy: neither in a volume nor in memory, since the engine exports neither. */
export const COPY_FOLDER = '/tmp/vitest-infra-snapshot'

/** The copy's folder in the image. */
export const SNAPSHOT_FOLDER = '/vitest-infra-snapshot'

export interface KeepOptions {
  readonly api: EngineApi
  readonly guard: StartGuard
  /** Id of the server's container. */
  readonly container: string
  readonly identity: SnapshotIdentity
  /** Name of the container that the image is made from. */
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  /** The folders that the image declares as volumes. */
  readonly volumes: readonly string[]
}

/** A program that exits when its input ends: with this process, at the latest. */
const WAITS_FOR_INPUT = { Entrypoint: ['cat'], Cmd: [], ...OPEN_INPUT }

/**
 * Makes an image of the copy in {@link COPY_FOLDER}. It is made from a container of its own: an image of the server's
 * container would contain its whole environment, with the password, and every other file that was written there.
 */
export async function keepSnapshot(options: KeepOptions, signal: AbortSignal, letGo: AbortSignal): Promise<void> {
  const { api, guard, identity } = options
  signal.throwIfAborted()
  const container = await guard.during(() => startEmpty(options, letGo))
  try {
    const copying = AbortSignal.any([signal, letGo])
    const archive = await api.readArchive(options.container, COPY_FOLDER, copying)
    await api.writeArchive(container, '/', archive, copying)
    signal.throwIfAborted()
    await commit({ api, container, identity }, letGo)
  } finally {
    await api.removeContainer(container, letGo)
  }
  await new SnapshotImages(api).removeOld(identity.root, letGo)
}

async function startEmpty({ api, identity, name, labels, volumes }: KeepOptions, signal: AbortSignal): Promise<string> {
  const Tmpfs = Object.fromEntries(volumes.map((volume) => [volume, 'rw']))
  const HostConfig = { AutoRemove: true, Tmpfs }
  const spec = { Image: identity.image, Labels: labels, HostConfig, ...WAITS_FOR_INPUT }
  const id = await api.createContainer(name, spec, signal)
  try {
    const input = await api.attach(id, signal)
    // Its output is dropped; a stream that is not read would never close.
    input.resume()
    await api.startContainer(id, signal)
    return id
  } catch (error) {
    await api.removeContainer(id, signal)
    throw error
  }
}

/**
 * The image gets its name last. If the container is removed during the commit, as at the end of a run, the engine makes an
 * image that lacks files; a later run removes such a nameless image.
 */
async function commit(
  { api, container, identity }: Pick<KeepOptions, 'api' | 'container' | 'identity'>,
  signal: AbortSignal,
): Promise<void> {
  const image = await api.commit(container, SnapshotImages.labelsOf(identity), signal)
  signal.throwIfAborted()
  await api.tagImage(image, SnapshotImages.nameOf(identity), signal)
}
