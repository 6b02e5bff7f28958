import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

import { DockerApi, type Endpoint } from './docker-api.ts'
import type { Lab } from './lab.ts'
import { LabError, reasonOf } from './report.ts'

interface FoundEngine {
  readonly api: DockerApi
  /** Where the choice came from, for a person. */
  readonly origin: string
}

export type Search =
  | { readonly kind: 'found'; readonly engine: FoundEngine }
  /** An address of a kind that the lab does not speak, such as ssh. The user's own commands may. */
  | { readonly kind: 'unchecked'; readonly host: string }
  | { readonly kind: 'none'; readonly tried: readonly string[] }

/**
 * Searches for an engine like the docker command: DOCKER_HOST, the chosen context, the usual sockets.
 *
 * @throws LabError when the user chose an engine that does not answer; no other engine is used instead.
 */
export async function findEngine({ environment }: Lab): Promise<Search> {
  const chosen = (await readDockerHost(environment)) ?? (await readContext(environment))
  if (chosen !== undefined) return tryChosen(chosen)
  const tried: string[] = []
  for (const socket of usualSockets(environment)) {
    const api = new DockerApi({ host: `unix://${socket}` })
    try {
      await api.ping()
      return { kind: 'found', engine: { api, origin: socket } }
    } catch (error) {
      tried.push(`${socket} (${reasonOf(error)})`)
    }
  }
  return { kind: 'none', tried }
}

interface Chosen extends Endpoint {
  readonly origin: string
  readonly remedy: string
}

async function tryChosen(chosen: Chosen): Promise<Search> {
  if (!/^(unix|tcp|http|https):/.test(chosen.host)) return { kind: 'unchecked', host: chosen.host }
  const api = new DockerApi(chosen)
  try {
    await api.ping(5_000)
  } catch (error) {
    throw new LabError(
      `Cannot use the container engine: ${chosen.origin} does not answer (${reasonOf(error)})`,
      chosen.remedy,
      { cause: error },
    )
  }
  return { kind: 'found', engine: { api, origin: chosen.origin } }
}

async function readDockerHost(environment: Readonly<NodeJS.ProcessEnv>): Promise<Chosen | undefined> {
  const host = environment['DOCKER_HOST']
  if (host === undefined || host === '') return undefined
  const certificates = environment['DOCKER_TLS_VERIFY']
    ? (environment['DOCKER_CERT_PATH'] ?? configFolder(environment))
    : undefined
  return {
    host,
    ...(certificates === undefined ? {} : { certificates }),
    origin: `DOCKER_HOST=${host}`,
    remedy: 'Start that engine, or unset DOCKER_HOST to let the lab find or set up another one',
  }
}

async function readContext(environment: Readonly<NodeJS.ProcessEnv>): Promise<Chosen | undefined> {
  const folder = configFolder(environment)
  const config = await readJson<{ currentContext?: string }>(join(folder, 'config.json'))
  const name = environment['DOCKER_CONTEXT'] || config?.currentContext
  if (name === undefined || name === '' || name === 'default') return undefined
  const id = createHash('sha256').update(name).digest('hex')
  const meta = await readJson<{ Endpoints?: { docker?: { Host?: string } } }>(
    join(folder, 'contexts/meta', id, 'meta.json'),
  )
  const host = meta?.Endpoints?.docker?.Host
  const remedy = 'Start that engine, or run "docker context use default"'
  if (host === undefined)
    throw new LabError(
      `Cannot use the container engine: the docker context "${name}" does not exist in ${folder}`,
      remedy,
    )
  const certificates = join(folder, 'contexts/tls', id, 'docker')
  return {
    host,
    ...(existsSync(certificates) ? { certificates } : {}),
    origin: `docker context "${name}" (${host})`,
    remedy,
  }
}

function configFolder(environment: Readonly<NodeJS.ProcessEnv>): string {
  return environment['DOCKER_CONFIG'] || join(homedir(), '.docker')
}

function usualSockets(environment: Readonly<NodeJS.ProcessEnv>): readonly string[] {
  const runtime = environment['XDG_RUNTIME_DIR']
  const sockets = [
    '/var/run/docker.sock',
    ...(runtime ? [join(runtime, 'docker.sock')] : []),
    join(homedir(), '.docker/run/docker.sock'),
    join(homedir(), '.docker/desktop/docker.sock'),
    `/run/user/${process.getuid?.() ?? 0}/docker.sock`,
  ]
  return [...new Set(sockets)].filter((socket) => existsSync(socket))
}

async function readJson<T>(path: string): Promise<T | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as T)
}
