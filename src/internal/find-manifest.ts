import { findPackageJSON } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** The package.json of a package, as seen from a folder; undefined where it is not installed. */
export function findManifest(name: string, directory: string): string | undefined {
  try {
    return findPackageJSON(name, pathToFileURL(join(directory, 'noop.js')))
  } catch {
    return undefined
  }
}
