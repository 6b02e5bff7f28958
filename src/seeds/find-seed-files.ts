import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs'
import { extname, join, resolve } from 'node:path'
import { InfraError, messageOf } from '../errors.ts'
import { compareNatural } from './natural-order.ts'

/** The configured files and folders. If a list is `undefined`, the default folder is searched. */
export interface SeedPaths {
  /** The folder to which relative paths refer. */
  readonly root: string
  /** Migrations, which only PostgreSQL has. They are loaded before `seeds`. */
  readonly migrations?: readonly string[] | undefined
  readonly seeds?: readonly string[] | undefined
}

/** Folders to search if no paths are configured. */
export const DEFAULT_SEED_FOLDERS = {
  postgres: { migrations: 'fixtures/postgres/migrations', seeds: 'fixtures/postgres/seeds' },
  redis: { seeds: 'fixtures/redis' },
} as const

const SOURCES = {
  postgres: { extension: '.sql', folders: DEFAULT_SEED_FOLDERS.postgres },
  redis: { extension: '.redis', folders: DEFAULT_SEED_FOLDERS.redis },
} as const

/**
 * Returns the files to load into a service, in order, as absolute paths without duplicates. A folder stands for all
 * files in it with the service's extension, including those in subfolders, in natural order. Hidden files are skipped.
 * A default folder may be missing or empty.
 *
 * @throws InfraError `INFRA_SEED_MISSING` for a configured path that does not exist or contains no such file, and for
 * an unreadable file
 */
export function findSeedFiles(service: keyof typeof SOURCES, paths: SeedPaths): string[] {
  const { extension, folders } = SOURCES[service]
  const found = new Set<string>()
  for (const [key, defaultFolder] of Object.entries(folders) as ['migrations' | 'seeds', string][]) {
    for (const path of paths[key] ?? [defaultFolder]) {
      const absolute = resolve(paths.root, path)
      const files = existsSync(absolute) ? listFiles(absolute, { extension, above: [] }) : undefined
      if (paths[key] !== undefined && !files?.length) {
        const reason = files === undefined ? 'does not exist' : `has no ${extension} file in it`
        throw refusePath(absolute, reason, { option: `${service}.${key}`, root: paths.root })
      }
      files?.forEach((file) => found.add(file))
    }
  }
  return [...found]
}

interface Listing {
  readonly extension: string
  /** Real paths of the parent folders. */
  readonly above: readonly string[]
}

function listFiles(path: string, { extension, above }: Listing): string[] {
  try {
    if (!statSync(path).isDirectory()) {
      return [path]
    }
    const folder = realpathSync(path)
    if (above.includes(folder)) {
      throw new Error(`it is a link to its own parent folder ${folder}`)
    }
    const names = readdirSync(path)
      .filter((name) => !name.startsWith('.'))
      .toSorted(compareNatural)
    const listing = { extension, above: [...above, folder] }
    const files = names.flatMap((name) => listFiles(join(path, name), listing))
    return files.filter((file) => extname(file).toLowerCase() === extension)
  } catch (error) {
    throw error instanceof InfraError ? error : refuseEntry(path, error)
  }
}

function refusePath(path: string, reason: string, { option, root }: { option: string; root: string }): InfraError {
  return new InfraError('INFRA_SEED_MISSING', {
    problem: `Cannot load ${option}: "${path}" ${reason}`,
    remedy: `Create it, or correct the option ${option} (relative paths start from ${root})`,
  })
}

function refuseEntry(path: string, cause: unknown): InfraError {
  return new InfraError('INFRA_SEED_MISSING', {
    problem: `Cannot load "${path}": ${messageOf(cause)}`,
    remedy: 'Remove it, or make it a file or folder that can be read',
    cause,
  })
}
