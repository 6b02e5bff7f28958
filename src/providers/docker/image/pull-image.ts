import type { ContainerRuntimeClient, ImageName } from 'testcontainers'
import { type Clock, systemClock } from '../../../internal/clock.ts'
import type { Report } from '../../../report/events.ts'
import { followPull } from './follow-pull.ts'
import { pullFailure } from './pull-failure.ts'
import { readRegistryCredentials } from './registry-credentials.ts'

export interface EnsureImageOptions {
  readonly client: ContainerRuntimeClient
  readonly image: string
  readonly report: Report
  readonly signal: AbortSignal
  readonly clock?: Clock
}

/**
 * Pulls an image unless the engine has it, and reports the progress. Resolves to the name under which the
 * engine knows the image: with the prefix of `TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX`, if that is set. When the signal
 * aborts, the pull ends and the promise rejects with the signal's reason.
 *
 * @throws {InfraError} `INFRA_IMAGE_PULL` with the registry's own reason
 */
export async function ensureImage(options: EnsureImageOptions): Promise<string> {
  const { ImageName } = await import('testcontainers')
  const name = ImageName.fromString(options.image)
  options.signal.throwIfAborted()
  if (!(await hasImage(options.client, name))) {
    await pullImage(name, options)
  }
  return name.string
}

/** Asked anew each time, and by status: `client.image.exists()` remembers for good and compares messages. */
async function hasImage(client: ContainerRuntimeClient, name: ImageName): Promise<boolean> {
  try {
    await client.container.dockerode.getImage(name.string).inspect()
    return true
  } catch (error) {
    if (error instanceof Error && 'statusCode' in error && error.statusCode === 404) {
      return false
    }
    throw pullFailure(name, error)
  }
}

/** Dockerode's own pull, since that of Testcontainers reports no progress and treats an error in the stream as success. */
async function pullImage(name: ImageName, options: EnsureImageOptions): Promise<void> {
  const { client, report, signal, clock = systemClock } = options
  const image = name.string
  const startedAt = clock.now()
  const registry = name.registry ?? client.info.containerRuntime.indexServerAddress
  const { authconfig, problem } = await readRegistryCredentials(registry)
  try {
    const stream = await client.container.dockerode.pull(image, { authconfig, abortSignal: signal })
    await followPull(stream, { image, clock, onProgress: (progress) => report({ type: 'pull-progress', ...progress }) })
  } catch (error) {
    signal.throwIfAborted()
    throw pullFailure(name, error, problem)
  }
  report({ type: 'pull-finished', image, elapsedMs: clock.now() - startedAt })
}
