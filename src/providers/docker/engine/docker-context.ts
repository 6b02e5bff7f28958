import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../../errors.ts'
import { digest } from '../../../internal/digest.ts'

/** The environment and the home directory, from which the docker command determines its engine. */
export interface DockerSettings {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly homeDirectory: string
}

/** The context that the docker command uses if `DOCKER_HOST` is not set. */
export type DockerContext =
  | { readonly kind: 'default'; readonly note: string }
  | {
      readonly kind: 'named'
      readonly name: string
      readonly host: string
      readonly skipTlsVerify: boolean
      readonly tlsDirectory?: string
      /** Where the context is chosen: `DOCKER_CONTEXT`, or the path of config.json. */
      readonly origin: string
    }
  | { readonly kind: 'missing'; readonly name: string; readonly reason: string; readonly origin: string }

export function dockerConfigDirectory({ environment, homeDirectory }: DockerSettings): string {
  return environment['DOCKER_CONFIG'] || join(homeDirectory, '.docker')
}

/**
 * Reads the name of the context from `DOCKER_CONTEXT`, else from `currentContext` in config.json, and then the
 * context's own files. Never rejects.
 */
export async function readDockerContext(settings: DockerSettings): Promise<DockerContext> {
  const directory = dockerConfigDirectory(settings)
  const configFile = join(directory, 'config.json')
  const chosen = settings.environment['DOCKER_CONTEXT']
  if (chosen) {
    return readNamedContext(chosen, { directory, origin: 'DOCKER_CONTEXT' })
  }
  try {
    const { currentContext }: DockerConfig = JSON.parse(await readFile(configFile, 'utf8'))
    return await readNamedContext(currentContext || 'default', { directory, origin: configFile })
  } catch (error) {
    // The docker command warns about a config.json that it cannot read, and continues without it.
    return { kind: 'default', note: isMissing(error) ? 'the usual sockets' : `${configFile}: ${messageOf(error)}` }
  }
}

async function readNamedContext(name: string, at: { directory: string; origin: string }): Promise<DockerContext> {
  if (name === 'default') {
    return { kind: 'default', note: 'the usual sockets' }
  }
  const id = digest(name)
  const { origin } = at
  try {
    const metaFile = join(at.directory, 'contexts', 'meta', id, 'meta.json')
    const meta: ContextMeta = JSON.parse(await readFile(metaFile, 'utf8'))
    const { Host: host, SkipTLSVerify: skipTlsVerify = false } = meta.Endpoints?.docker ?? {}
    if (!host) {
      return { kind: 'missing', name, origin, reason: 'it has no docker endpoint' }
    }
    const tlsDirectory = await existing(join(at.directory, 'contexts', 'tls', id, 'docker'))
    return { kind: 'named', name, host, skipTlsVerify, origin, ...(tlsDirectory && { tlsDirectory }) }
  } catch (error) {
    const reason = isMissing(error) ? `there is no such context in ${at.directory}` : messageOf(error)
    return { kind: 'missing', name, origin, reason }
  }
}

interface DockerConfig {
  readonly currentContext?: string
}

interface ContextMeta {
  readonly Endpoints?: { readonly docker?: { readonly Host?: string; readonly SkipTLSVerify?: boolean } }
}

async function existing(path: string): Promise<string | undefined> {
  return access(path).then(
    () => path,
    () => undefined,
  )
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
