import { existsSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { extname, join, resolve } from 'node:path'
import { InfraError } from '../errors.ts'
import { compareNatural } from './natural-order.ts'

/** Where seeds are looked for: configured files and folders, or `undefined` for the default folder. */
export interface SeedPaths {
  /** The folder that relative paths start from. */
  readonly root: string
  /** PostgreSQL's, before `seeds`; Redis has none. */
  readonly migrations?: readonly string[] | undefined
  readonly seeds?: readonly string[] | undefined
}

const SOURCES = {
  postgres: {
    extension: '.sql',
    folders: [
      ['migrations', 'fixtures/postgres/migrations'],
      ['seeds', 'fixtures/postgres/seeds'],
    ],
  },
  redis: { extension: '.redis', folders: [['seeds', 'fixtures/redis']] },
} as const

/**
 * The files to load into a service, in order, as absolute paths without duplicates. A folder stands for the files in it
 * and below it that have the service's extension, in natural name order; hidden ones are left out.
 *
 * @throws InfraError `INFRA_SEED_MISSING` when a configured path does not exist; a default folder may be missing.
 */
export async function findSeedFiles(service: keyof typeof SOURCES, paths: SeedPaths): Promise<string[]> {
  const { extension, folders } = SOURCES[service]
  const found = new Set<string>()
  for (const [key, defaultFolder] of folders) {
    for (const path of paths[key] ?? [defaultFolder]) {
      const absolute = resolve(paths.root, path)
      if (existsSync(absolute)) {
        const files = await listFiles(absolute, extension)
        files.forEach((file) => found.add(file))
      } else if (paths[key] !== undefined) {
        throw refusePath(absolute, { option: `${service}.${key}`, root: paths.root })
      }
    }
  }
  return [...found]
}

async function listFiles(path: string, extension: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) {
    return [path]
  }
  const names = (await readdir(path)).filter((name) => !name.startsWith('.')).toSorted(compareNatural)
  const files = await Promise.all(names.map((name) => listFiles(join(path, name), extension)))
  return files.flat().filter((file) => extname(file).toLowerCase() === extension)
}

function refusePath(path: string, { option, root }: { option: string; root: string }): InfraError {
  return new InfraError('INFRA_SEED_MISSING', {
    problem: `Cannot load ${option}: "${path}" does not exist`,
    remedy: `Create it, or correct the option ${option} (relative paths start from ${root})`,
  })
}
