import { parseEngineAddress } from './engine-address.ts'
import {
  type CandidatePlace,
  type BindingPlace,
  type EnginePlace,
  type EngineSearch,
  listEnginePlaces,
} from './engine-places.ts'
import { claimFailed, noEngineAnswered } from './engine-unreachable.ts'
import { type EngineVersion, probeEngine } from './probe-engine.ts'
import { ProbeError } from './probe-error.ts'

/** All that it takes to reach an engine. */
export interface EngineAccess {
  /** A complete value of `DOCKER_HOST`. */
  readonly host: string
  /** Holds `ca.pem`, `cert.pem` and `key.pem`; absent for an engine without TLS. */
  readonly tlsDirectory?: string | undefined
}

/** A container engine that has answered. */
export interface Engine extends EngineVersion, EngineAccess {
  /** Where its address comes from: `DOCKER_HOST`, `context "colima"`, `/var/run/docker.sock`. */
  readonly source: string
}

/** What a program has to find in its environment to reach the engine. */
export interface EngineEnvironment {
  readonly DOCKER_HOST: string
  readonly DOCKER_TLS_VERIFY?: '1'
  readonly DOCKER_CERT_PATH?: string
}

/**
 * Finds the container engine that the `docker` command would use: `DOCKER_HOST`, else the current context, else the
 * usual sockets. What is named there must answer; it is never passed over. Takes less than 5 s, whatever is silent.
 *
 * @throws {InfraError} `INFRA_ENGINE_UNREACHABLE` with every place that was tried and what it said
 */
export async function findEngine(search: EngineSearch): Promise<Engine> {
  const found = await searchEngine(search)
  if (Array.isArray(found)) {
    throw noEngineAnswered(found)
  }
  return found as Engine
}

/**
 * The same for a caller that has another choice: if no engine was named and none answered, it resolves to one line for
 * each place that was tried.
 *
 * @throws {InfraError} `INFRA_ENGINE_UNREACHABLE` where an engine that was asked for by name does not answer
 */
export async function searchEngine(search: EngineSearch): Promise<Engine | readonly string[]> {
  const places = await listEnginePlaces(search)
  const decided = new AbortController()
  const attempts = places.map((place) => tryPlace(place, decided.signal))
  // An attempt that is not awaited any more may still fail.
  void Promise.allSettled(attempts)
  try {
    return await firstEngine(attempts)
  } finally {
    decided.abort()
  }
}

/** The variables by which Testcontainers and the docker command reach the engine that was found. */
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

/** The engine, or a line that says why there is none; rejects when the place binds. */
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
  const version = await probeEngine(address, { tlsDirectory, signal })
  return Object.freeze({ host: address.host, source, ...version, ...(tlsDirectory !== undefined && { tlsDirectory }) })
}
