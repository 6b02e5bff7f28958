import { findPackageJSON } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Returns the path of a package's package.json, resolved from a folder; undefined if the package is not installed. */
export function findManifest(name: string, directory: string): string | undefined {
  try {
    return findPackageJSON(name, pathToFileURL(join(directory, 'noop.js')))
  } catch {
    return undefined
  }
}
