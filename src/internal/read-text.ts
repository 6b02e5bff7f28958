import { existsSync, readFileSync } from 'node:fs'
import { InfraError, messageOf } from '../errors.ts'

/**
 * Returns the text of a file; undefined if it does not exist.
 *
 * @throws InfraError `INFRA_CONFIG_LOAD` if the file cannot be read or is not text
 */
export function readTextIfPresent(path: string): string | undefined {
  const text = existsSync(path) ? readText(path) : undefined
  // `>` in Windows PowerShell writes UTF-16. Decoded as UTF-8, such a file contains NUL, and no variable would be found
  // in it.
  if (text?.includes('\0')) {
    throw new InfraError('INFRA_CONFIG_LOAD', {
      problem: `Cannot read ${path}: the file is not UTF-8 text`,
      remedy: 'Save the file as UTF-8',
    })
  }
  return text
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new InfraError('INFRA_CONFIG_LOAD', {
      problem: `Cannot read ${path}: ${messageOf(error)}`,
      remedy: 'Make it a file that can be read, or remove it',
      cause: error,
    })
  }
}
