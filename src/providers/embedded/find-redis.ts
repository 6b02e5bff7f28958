import { readdir, stat } from 'node:fs/promises'
import { delimiter, dirname, join, resolve } from 'node:path'
import { findManifest } from '../../internal/find-manifest.ts'
import type { Missing } from './missing.ts'
import { installCommand } from './missing.ts'

export interface RedisSearch {
  /** The project's folder. */
  readonly root: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly platform: NodeJS.Platform
  /** The path of the program that the user has configured; undefined if none is configured. */
  readonly configured: string | undefined
}

/** A server program that is compatible with Redis. */
export interface RedisProgram {
  readonly file: string
  readonly description: string
}

const NAMES = ['redis-server', 'valkey-server']

/**
 * Finds a Redis program: the configured one, else one in the PATH, else one that `redis-memory-server` has built for
 * the project.
 */
export async function findRedis(search: RedisSearch): Promise<RedisProgram | Missing> {
  const { configured, root, platform } = search
  if (configured !== undefined) {
    const file = resolve(root, configured)
    return (await isFile(file))
      ? describe(file)
      : {
          service: 'redis',
          reason: `there is no file ${file}, which redis.binary or VITEST_INFRA_REDIS_BINARY names`,
          install: 'Correct redis.binary or VITEST_INFRA_REDIS_BINARY',
        }
  }
  const file = (await findInPath(search)) ?? (await findBuilt(search))
  return file === undefined
    ? {
        service: 'redis',
        reason: `${NAMES.join(' and ')} are not in the PATH, and redis-memory-server has built none for this project`,
        install: `Run: ${await installCommand(platform)}`,
      }
    : describe(file)
}

async function findInPath({ environment, platform }: RedisSearch): Promise<string | undefined> {
  const path = environment['PATH'] ?? environment['Path'] ?? ''
  const suffix = platform === 'win32' ? '.exe' : ''
  const folders = path.split(delimiter).filter(Boolean)
  return firstFile(NAMES.flatMap((name) => folders.map((folder) => join(folder, name + suffix))))
}

/**
 * Finds a program that `redis-memory-server` has built. The package's own search is not used, because it would download
 * and build one, which only its installation should do.
 */
async function findBuilt({ root, platform, environment }: RedisSearch): Promise<string | undefined> {
  const manifest = findManifest('redis-memory-server', root)
  if (manifest === undefined) {
    return undefined
  }
  const chosen = environment['REDISMS_DOWNLOAD_DIR']
  const modules = [dirname(dirname(manifest)), join(root, 'node_modules')]
  const folders = modules.map((folder) => join(folder, '.cache/redis-memory-server/redis-binaries'))
  const name = platform === 'win32' ? 'memurai.exe' : 'redis-server'
  const versions = await Promise.all([...(chosen ? [chosen] : []), ...folders].map(subfolders))
  return firstFile(versions.flat().map((folder) => join(folder, name)))
}

async function subfolders(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => [])
  return names.map((name) => join(folder, name))
}

async function firstFile(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    if (await isFile(path)) {
      return path
    }
  }
  return undefined
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (facts) => facts.isFile(),
    () => false,
  )
}

function describe(file: string): RedisProgram {
  return { file, description: file }
}
