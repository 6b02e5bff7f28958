import type { ImageName } from 'testcontainers'
import { messageOf } from '../../../errors.ts'
import { type Clock, systemClock } from '../../../internal/clock.ts'
import type { Report } from '../../../report/events.ts'
import type { EngineApi } from '../engine/engine-api.ts'
import { followPull } from './follow-pull.ts'
import { pullFailure } from './pull-failure.ts'

export interface EnsureImageOptions {
  readonly api: EngineApi
  readonly image: string
  readonly report: Report
  readonly signal: AbortSignal
  readonly clock?: Clock
}

interface RegistryCredentials {
  /** The credentials for the registry; undefined for an anonymous pull. */
  readonly credentials: object | undefined
  /** Why the credentials could not be read; undefined if they could. */
  readonly problem?: string
}

/**
 * Pulls an image unless the engine has it, and reports the progress. Resolves to the image's name in the engine, which
 * includes the prefix in `TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX` if that is set.
 *
 * If the signal aborts, the pull ends and the promise rejects with the signal's reason.
 *
 * @throws {InfraError} `INFRA_IMAGE_PULL` with the registry's own reason
 */
export async function ensureImage(options: EnsureImageOptions): Promise<string> {
  const { api, image, signal } = options
  const { ImageName } = await import('testcontainers')
  const name = ImageName.fromString(image)
  signal.throwIfAborted()
  const found = await api.findImage(name.string).catch((error: unknown) => {
    throw pullFailure(name, error)
  })
  if (!found) {
    await pullImage(name, options)
  }
  return name.string
}

/** Pulls an image without Testcontainers, which reports no progress and ignores an error in the stream. */
async function pullImage(name: ImageName, options: EnsureImageOptions): Promise<void> {
  const { api, report, signal, clock = systemClock } = options
  const image = name.string
  const startedAt = clock.now()
  const { credentials, problem } = await readCredentials(name, api)
  try {
    const stream = await api.pullImage(image, { credentials, signal })
    await followPull(stream, { image, clock, onProgress: (progress) => report({ type: 'pull-progress', ...progress }) })
  } catch (error) {
    signal.throwIfAborted()
    throw pullFailure(name, error, problem)
  }
  report({ type: 'pull-finished', image, elapsedMs: clock.now() - startedAt })
}

/**
 * Reads the credentials as Testcontainers does: from a credential helper, a credentials store or config.json.
 * Testcontainers does not export its function, so an internal file is imported.
 *
 * A failure is returned instead of thrown, because a public image needs no credentials.
 */
async function readCredentials({ registry }: ImageName, api: EngineApi): Promise<RegistryCredentials> {
  try {
    const { getAuthConfig } = await import('testcontainers/build/container-runtime/auth/get-auth-config.js')
    return { credentials: await getAuthConfig(registry ?? (await api.info()).IndexServerAddress ?? '') }
  } catch (error) {
    const problem = `It was tried without credentials, because those of the registry cannot be read: ${messageOf(error)}`
    return { credentials: undefined, problem }
  }
}
