import type { ImageName } from 'testcontainers'
import { InfraError, messageOf } from '../../../errors.ts'
import { EngineRefusal } from '../engine/engine-errors.ts'

type Remedy = (image: ImageName) => string

/**
 * Remedies by the wording of a failure. The engine passes on the registry's answer as text, so nothing else
 * distinguishes failures.
 */
const REMEDIES: readonly (readonly [reason: RegExp, remedy: Remedy])[] = [
  [/toomanyrequests|rate limit|\b429\b/i, (image) => `Run "${login(image)}" for a higher limit${orMirror(image)}`],
  [/pull access denied/i, checkOrLogin],
  [/unauthorized|authentication required|no basic auth|denied/i, (image) => `Run "${login(image)}"${orMirror(image)}`],
  [/no matching manifest/i, () => "Choose an image that is built for the engine's platform"],
  [/invalid reference|repository name/i, (image) => `Correct the name "${image.string}"`],
  [/not found|manifest unknown/i, checkOrLogin],
  [/no space left/i, () => 'Free disk space where the engine runs, such as with "docker system prune"'],
  [/x509|certificate/i, (image) => `Make the engine trust the registry's certificate${orMirror(image)}`],
  [
    /no such host|lookup |dial |time(d |-)?out|refused|unreachable|\bEOF\b|proxyconnect/i,
    (image) => `Check the network and the proxy of the engine${orMirror(image)}`,
  ],
]

/** Returns the error for a failed pull, with the reason that the engine or the registry reported. */
export function pullFailure(image: ImageName, error: unknown, detail?: string): InfraError {
  const reason = reasonOf(error)
  const [, remedy] = REMEDIES.find(([pattern]) => pattern.test(reason)) ?? []
  return new InfraError('INFRA_IMAGE_PULL', {
    problem: `Cannot pull image "${image.string}": ${reason}`,
    ...(detail !== undefined && { detail }),
    remedy: remedy?.(image) ?? `Run "docker pull ${image.string}" to see the whole failure`,
    provider: 'docker',
    cause: error,
  })
}

function checkOrLogin(image: ImageName): string {
  return `Check the name "${image.string}", or run "${login(image)}" if the image is private`
}

function login({ registry }: ImageName): string {
  return registry === undefined ? 'docker login' : `docker login ${registry}`
}

/** Testcontainers adds the prefix only to names without a registry. */
function orMirror({ registry }: ImageName): string {
  return registry === undefined ? ', or set TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX to a mirror of Docker Hub' : ''
}

function reasonOf(error: unknown): string {
  const reason = (error instanceof EngineRefusal && error.reason) || messageOf(error)
  return reason.trim().replace(/\.$/, '')
}
