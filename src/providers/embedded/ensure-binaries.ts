import { cp, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { pathExists } from '../../internal/path-exists.ts'
import { isReachable } from './account.ts'
import type { PostgresPackage } from './find-postgres.ts'
import type { Account } from './supervisor-protocol.ts'

interface Link {
  readonly source: string
  readonly target: string
}

export interface BinaryPlaces {
  readonly account: Account | undefined
  /** The folders for copies, in order of preference. The last one must be writable and accessible. */
  readonly caches: readonly string[]
}

/**
 * Resolves to a folder with PostgreSQL's binaries, ready to run. npm packages cannot contain the symbolic links that
 * the libraries need, and package managers may not run the script that creates them. If this function cannot create
 * them either, or the servers' account cannot access the folder, it uses a copy.
 */
export async function ensureBinaries(postgres: PostgresPackage, { account, caches }: BinaryPlaces): Promise<string> {
  const { native } = postgres
  if ((await isReachable(join(native, 'bin'), account)) && (await makeLinks(native))) {
    return native
  }
  const name = `${postgres.name.replace('/', '-')}-${postgres.version}`
  const failures: unknown[] = []
  for (const cache of caches) {
    const copy = join(cache, 'binaries', name)
    try {
      await ensureCopy(native, copy)
      if (await isReachable(join(copy, 'bin'), account)) {
        return copy
      }
    } catch (error) {
      failures.push(error)
    }
  }
  throw failures.at(-1) ?? new Error(`no place was found for a copy of ${native}`)
}

async function ensureCopy(native: string, copy: string): Promise<void> {
  if (await pathExists(copy)) {
    return
  }
  await mkdir(dirname(copy), { recursive: true, mode: 0o755 })
  const part = `${copy}.${Math.random().toString(36).slice(2)}`
  try {
    await cp(native, part, { recursive: true, verbatimSymlinks: true })
    if (!(await makeLinks(part))) {
      throw new Error(`links cannot be made in ${part}`)
    }
    await rename(part, copy)
  } catch (error) {
    await rm(part, { recursive: true, force: true })
    // Another process may have created the copy meanwhile.
    if (!(await pathExists(copy))) {
      throw error
    }
  }
}

/** Creates the links that are missing. Resolves to whether all links exist in the end. */
async function makeLinks(native: string): Promise<boolean> {
  const links = await readLinks(native)
  const outcomes = await Promise.all(links.map((link) => makeLink(native, link)))
  return outcomes.every(Boolean)
}

async function makeLink(native: string, { source, target }: Link): Promise<boolean> {
  // Paths in the file are relative to the package's folder: native/lib/….
  const path = join(native, relative('native', target))
  if (await pathExists(path)) {
    return true
  }
  return symlink(relative(dirname(target), source), path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === 'EEXIST',
  )
}

async function readLinks(native: string): Promise<readonly Link[]> {
  // On Windows, no links are needed.
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  return JSON.parse(text) as Link[]
}
