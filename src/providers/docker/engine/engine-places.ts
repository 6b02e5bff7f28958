import { homedir } from 'node:os'
import { posix } from 'node:path'
import type { InfraError } from '../../../errors.ts'
import { type DockerContext, type DockerSettings, dockerConfigDirectory, readDockerContext } from './docker-context.ts'
import { contextUnusable, type EngineClaim } from './engine-unreachable.ts'
import { readTestcontainersProperties, type TestcontainersProperties } from './testcontainers-properties.ts'

export interface EngineSearch extends DockerSettings {
  readonly platform: NodeJS.Platform
  /** The user id from `process.getuid()`; undefined on Windows. */
  readonly userId: number | undefined
}

/** Returns a search on this machine with the given environment. */
export function searchHere(environment: EngineSearch['environment']): EngineSearch {
  return { environment, platform: process.platform, homeDirectory: homedir(), userId: process.getuid?.() }
}

/** A host that is skipped if it does not answer. */
export interface CandidatePlace {
  readonly kind: 'candidate'
  readonly source: string
  readonly host: string
  readonly tlsDirectory?: string | undefined
}

/** A host that the user has chosen: if it does not answer, the search fails. */
export interface BindingPlace extends EngineClaim {
  readonly kind: 'binding'
}

export type EnginePlace =
  | CandidatePlace
  | BindingPlace
  | { readonly kind: 'empty'; readonly source: string; readonly note: string }
  | { readonly kind: 'broken'; readonly error: InfraError }

/**
 * Lists the places to search for an engine, in order of preference. The list ends at the first place that the user has
 * chosen.
 *
 * It contains the places where the docker command looks, and those of Testcontainers' own settings. Testcontainers
 * prefers a `tc.host` that answers, so this search must prefer it, too.
 */
export async function listEnginePlaces(search: EngineSearch): Promise<readonly EnginePlace[]> {
  const properties = await readTestcontainersProperties(search.homeDirectory)
  const ofTestcontainers = propertyPlace('tc.host', properties.tcHost)
  const host = search.environment['DOCKER_HOST']
  if (host) {
    return [...ofTestcontainers, variablePlace(host, search)]
  }
  const context = await readDockerContext(search)
  return [
    ...ofTestcontainers,
    { kind: 'empty', source: 'DOCKER_HOST', note: 'not set' },
    ...propertyPlace('docker.host', properties.dockerHost, tlsDirectoryOf(search, properties)),
    ...(context.kind === 'default' ? defaultPlaces(context.note, search) : [contextPlace(context)]),
  ]
}

function variablePlace(host: string, search: EngineSearch): BindingPlace {
  return {
    kind: 'binding',
    source: 'DOCKER_HOST',
    host,
    tlsDirectory: tlsDirectoryOf(search),
    claim: 'DOCKER_HOST is set',
    withdrawal: 'unset DOCKER_HOST to use the current docker context',
  }
}

function propertyPlace(name: string, host: string | undefined, tlsDirectory?: string): CandidatePlace[] {
  const source = `${name} in ~/.testcontainers.properties`
  return host === undefined ? [] : [{ kind: 'candidate', source, host, tlsDirectory }]
}

function contextPlace(context: Exclude<DockerContext, { kind: 'default' }>): EnginePlace {
  const byVariable = context.origin === 'DOCKER_CONTEXT'
  const source = `context "${context.name}"`
  const claim = byVariable ? `DOCKER_CONTEXT chooses ${source}` : `${source} is the current one`
  const withdrawal = byVariable
    ? 'unset DOCKER_CONTEXT to use the current docker context'
    : 'choose another context with "docker context use"'
  return context.kind === 'missing'
    ? { kind: 'broken', error: contextUnusable({ claim, withdrawal }, context.reason) }
    : { ...context, kind: 'binding', source, claim, withdrawal }
}

function defaultPlaces(note: string, search: EngineSearch): EnginePlace[] {
  return [{ kind: 'empty', source: 'context "default"', note }, ...usualPlaces(search)]
}

function usualPlaces(search: EngineSearch): CandidatePlace[] {
  return search.platform === 'win32'
    ? [{ kind: 'candidate', source: String.raw`\\.\pipe\docker_engine`, host: 'npipe:////./pipe/docker_engine' }]
    : usualSockets(search).map((path) => ({ kind: 'candidate', source: path, host: `unix://${path}` }))
}

function usualSockets({ environment, homeDirectory, userId }: EngineSearch): string[] {
  const ofUser = userId === undefined ? [] : [`/run/user/${userId}`]
  const runtime = environment['XDG_RUNTIME_DIR'] ? [environment['XDG_RUNTIME_DIR']] : ofUser
  const paths = [
    '/var/run/docker.sock',
    ...runtime.map((directory) => posix.join(directory, 'docker.sock')),
    posix.join(homeDirectory, '.docker/run/docker.sock'),
    posix.join(homeDirectory, '.docker/desktop/docker.sock'),
    ...ofUser.map((directory) => posix.join(directory, 'docker.sock')),
    posix.join(homeDirectory, '.colima/default/docker.sock'),
    posix.join(homeDirectory, '.rd/docker.sock'),
    posix.join(homeDirectory, '.orbstack/run/docker.sock'),
    ...runtime.map((directory) => posix.join(directory, 'podman/podman.sock')),
  ]
  return [...new Set(paths)]
}

/**
 * Returns the folder of the TLS files; undefined without TLS. As in the docker command, any `DOCKER_TLS_VERIFY` that is
 * not empty turns verification on, even `0`.
 */
function tlsDirectoryOf(search: EngineSearch, properties: TestcontainersProperties = {}): string | undefined {
  const { DOCKER_TLS_VERIFY: verify = properties.dockerTlsVerify, DOCKER_CERT_PATH: path } = search.environment
  return verify ? path || properties.dockerCertPath || dockerConfigDirectory(search) : undefined
}
