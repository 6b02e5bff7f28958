import { existsSync, readFileSync } from 'node:fs'
import { InfraError, messageOf } from '../errors.ts'

/**
 * Returns the text of a file; undefined if it does not exist.
 *
 * @throws InfraError `INFRA_CONFIG_LOAD` if the file is not readable, or not text
 */
export function readTextIfPresent(path: string): string | undefined {
  const text = existsSync(path) ? readText(path) : undefined
  // In Windows PowerShell, `>` writes UTF-16. Read as UTF-8, it contains NUL, and no variable would be found in it.
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
