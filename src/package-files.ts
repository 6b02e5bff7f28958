import { extname, join } from 'node:path'

// The bundle puts this module into the folder that holds the entries, as the sources do.
const FOLDER = import.meta.dirname

/**
 * The file of an entry, such as `'setup-file'`, by its path: TypeScript where our own sources run, JavaScript
 * in the package.
 */
export function entryFile(name: string): string {
  return join(FOLDER, name + extname(import.meta.url))
}

export const MANIFEST_FILE = join(FOLDER, '../package.json')
