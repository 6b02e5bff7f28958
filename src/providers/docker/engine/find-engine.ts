import { type EngineAccess, parseEngineAddress } from './engine-address.ts'
import { ProbeError } from './engine-errors.ts'
import {
  type CandidatePlace,
  type BindingPlace,
  type EnginePlace,
  type EngineSearch,
  listEnginePlaces,
} from './engine-places.ts'
import { claimFailed, noEngineAnswered } from './engine-unreachable.ts'
import { type EngineVersion, probeEngine } from './probe-engine.ts'

/** A container engine that has answered. */
export interface Engine extends EngineVersion, EngineAccess {
  /** The source of the engine's address, such as `DOCKER_HOST`, `context "colima"` or `/var/run/docker.sock`. */
  readonly source: string
}

/** The variables with which Testcontainers and the docker command reach an engine. */
export interface EngineEnvironment {
  readonly DOCKER_HOST: string
  readonly DOCKER_TLS_VERIFY?: '1'
  readonly DOCKER_CERT_PATH?: string
}

/**
 * Finds the container engine that the `docker` command would use: `DOCKER_HOST`, else the current context, else the
 * usual sockets. A chosen engine must answer; there is no fallback. The search takes less than 5 s, even if an address
 * does not answer.
 *
 * @throws {InfraError} `INFRA_ENGINE_UNREACHABLE`, naming every place that was tried and why it failed
 */
export async function findEngine(search: EngineSearch): Promise<Engine> {
  const found = await searchEngine(search)
  if (Array.isArray(found)) {
    throw noEngineAnswered(found)
  }
  return found as Engine
}

/**
 * Finds an engine like `findEngine`, for a caller with a fallback. If no engine was chosen and none answered, it
 * resolves to one line for each place that was tried.
 *
 * @throws {InfraError} `INFRA_ENGINE_UNREACHABLE` if a chosen engine does not answer
 */
export async function searchEngine(search: EngineSearch): Promise<Engine | readonly string[]> {
  const places = await listEnginePlaces(search)
  const decided = new AbortController()
  const attempts = places.map((place) => tryPlace(place, decided.signal))
  // Attempts after the first success may still fail, and must not cause unhandled rejections.
  void Promise.allSettled(attempts)
  try {
    return await firstEngine(attempts)
  } finally {
    decided.abort()
  }
}

export function engineEnvironment({ host, tlsDirectory }: Engine): EngineEnvironment {
  const tls = tlsDirectory === undefined ? {} : ({ DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: tlsDirectory } as const)
  return { DOCKER_HOST: host, ...tls }
}

async function firstEngine(attempts: readonly Promise<Engine | string>[]): Promise<Engine | readonly string[]> {
  const lines: string[] = []
  for (const attempt of attempts) {
    const result = await attempt
    if (typeof result !== 'string') {
      return result
    }
    lines.push(result)
  }
  return lines
}

/**
 * Resolves to the engine at a place, or to a line with the reason why there is none. Rejects if the user has chosen
 * this place.
 */
async function tryPlace(place: EnginePlace, signal: AbortSignal): Promise<Engine | string> {
  if (place.kind === 'broken') {
    throw place.error
  }
  if (place.kind === 'empty') {
    return `${place.source}: ${place.note}`
  }
  try {
    return await engineAt(place, signal)
  } catch (error) {
    const failure = ProbeError.from(error)
    if (place.kind === 'binding') {
      throw claimFailed(place, failure)
    }
    return `${place.source}: ${failure.message}`
  }
}

async function engineAt(place: CandidatePlace | BindingPlace, signal: AbortSignal): Promise<Engine> {
  const { source, tlsDirectory } = place
  const address = parseEngineAddress(place.host, { tls: tlsDirectory !== undefined })
  const version = await probeEngine({ host: address.host, tlsDirectory }, signal)
  return Object.freeze({ host: address.host, source, ...version, ...(tlsDirectory !== undefined && { tlsDirectory }) })
}
