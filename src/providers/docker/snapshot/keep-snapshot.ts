import { COPY_FOLDER } from '../../../internal/names.ts'
import type { EngineApi } from '../engine/engine-api.ts'
import { type SnapshotIdentity, SnapshotImages } from './snapshot-images.ts'
import type { StartGuard } from '../container/start-guard.ts'
import { OPEN_INPUT } from '../container/tie.ts'

export interface KeepOptions {
  readonly api: EngineApi
  readonly guard: StartGuard
  /** Id of the server's container. */
  readonly container: string
  readonly identity: SnapshotIdentity
  /** Name of the container from which the image is created. */
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  /** The folders that the image declares as volumes. */
  readonly volumes: readonly string[]
}

/** Settings of a container whose program exits when its input ends, at the latest when this process exits. */
const WAITS_FOR_INPUT = { Entrypoint: ['cat'], Cmd: [], ...OPEN_INPUT }

/**
 * Creates an image from the copy in {@link COPY_FOLDER}, using a separate container. An image of the server's container
 * would contain its whole environment, including the password, and every other file that was written there.
 */
export async function keepSnapshot(options: KeepOptions, signal: AbortSignal, abandon: AbortSignal): Promise<void> {
  const { api, guard, identity } = options
  signal.throwIfAborted()
  const container = await guard.during(() => startEmpty(options, abandon))
  try {
    const copying = AbortSignal.any([signal, abandon])
    const archive = await api.readArchive(options.container, COPY_FOLDER, copying)
    await api.writeArchive(container, '/', archive, copying)
    signal.throwIfAborted()
    await commit({ api, container, identity }, abandon)
  } finally {
    await api.removeContainer(container, abandon)
  }
  await new SnapshotImages(api).removeOld(identity.root, abandon)
}

async function startEmpty({ api, identity, name, labels, volumes }: KeepOptions, signal: AbortSignal): Promise<string> {
  const Tmpfs = Object.fromEntries(volumes.map((volume) => [volume, 'rw']))
  const HostConfig = { AutoRemove: true, Tmpfs }
  const spec = { Image: identity.image, Labels: labels, HostConfig, ...WAITS_FOR_INPUT }
  const id = await api.createContainer(name, spec, signal)
  try {
    const input = await api.attach(id, signal)
    // The output is discarded, because a stream that is not read would never close.
    input.resume()
    await api.startContainer(id, signal)
    return id
  } catch (error) {
    await api.removeContainer(id, signal)
    throw error
  }
}

/**
 * Creates the image, and names it last. If the container is removed during the commit, as at the end of a run, the
 * engine creates an image that lacks files. Such an image has no name, and a later run removes it.
 */
async function commit(
  { api, container, identity }: Pick<KeepOptions, 'api' | 'container' | 'identity'>,
  signal: AbortSignal,
): Promise<void> {
  const image = await api.commit(container, SnapshotImages.labelsOf(identity), signal)
  signal.throwIfAborted()
  await api.tagImage(image, SnapshotImages.nameOf(identity), signal)
}
