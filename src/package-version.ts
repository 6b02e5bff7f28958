import { readFileSync } from 'node:fs'
import { MANIFEST_FILE } from './package-files.ts'

/** Returns the version of this package. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(MANIFEST_FILE, 'utf8')) as { version: string }).version
}
