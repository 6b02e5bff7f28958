import { existsSync, readFileSync } from 'node:fs'
import { InfraError, messageOf } from '../errors.ts'

/**
 * The text of a file, or `undefined` where there is none.
 *
 * @throws InfraError `INFRA_CONFIG_LOAD` for what is there but is no text
 */
export function readTextIfPresent(path: string): string | undefined {
  const text = existsSync(path) ? readText(path) : undefined
  // UTF-16, as Windows PowerShell's ">" writes it, would be read as a file that sets nothing.
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
