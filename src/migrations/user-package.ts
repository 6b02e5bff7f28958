import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { InfraError } from '../errors.ts'
import { findManifest } from '../internal/find-manifest.ts'

/** Loads a module of a package that is installed in the user's project. */
export function requireFrom(directory: string, specifier: string): unknown {
  return createRequire(join(directory, 'noop.js'))(specifier)
}

/**
 * Checks that these packages are installed in the user's project.
 *
 * @throws InfraError `INFRA_SEED_FAILED` with the command that installs them
 */
export function assertInstalled(packages: readonly string[], directory: string, tool: string): void {
  const missing = packages.filter((name) => findManifest(name, directory) === undefined)
  if (missing.length > 0) {
    throw notInstalled(missing, directory, tool)
  }
}

/**
 * Returns the script of a package's command, which Node can run directly. In contrast, `npx` would search for it again
 * or download it.
 *
 * @throws InfraError `INFRA_SEED_FAILED` with the command that installs the package
 */
export function findScript(packageName: string, bin: string, directory: string): string {
  const manifest = findManifest(packageName, directory)
  const script = manifest && scriptOf(manifest, bin)
  if (script === undefined) {
    throw notInstalled([packageName], directory, bin)
  }
  return script
}

function scriptOf(manifest: string, name: string): string | undefined {
  const { bin } = JSON.parse(readFileSync(manifest, 'utf8')) as { bin?: string | Record<string, string> }
  const script = typeof bin === 'string' ? bin : bin?.[name]
  return script === undefined ? undefined : join(dirname(manifest), script)
}

function notInstalled(packages: readonly string[], directory: string, tool: string): InfraError {
  return new InfraError('INFRA_SEED_FAILED', {
    problem: `Cannot migrate with ${tool}: ${packages.join(' and ')} cannot be found from ${directory}`,
    remedy: `Run: npm install --save-dev ${packages.join(' ')}`,
    service: 'postgres',
  })
}
