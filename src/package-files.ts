import { extname, join } from 'node:path'

// The bundler puts this module into the same folder as the entries.
const FOLDER = import.meta.dirname

/**
 * Returns the path of an entry, such as `'setup-file'`: a TypeScript file in the sources, JavaScript in the package.
 */
export function entryFile(name: string): string {
  return join(FOLDER, name + extname(import.meta.url))
}

export const MANIFEST_FILE = join(FOLDER, '../package.json')
