import { readFile } from 'node:fs/promises'
import { relative, sep } from 'node:path'
import { InfraError, messageOf } from '../errors.ts'
import { createSeedError } from './seed-error.ts'

/** A seed file with its text. The name is for messages: the path relative to the root, with forward slashes. */
export interface SeedFile {
  readonly name: string
  readonly text: string
}

export interface SeedFileContext {
  readonly root: string
  readonly service: 'postgres' | 'redis'
}

/** Reads a seed file, which must be UTF-8. Removes a byte order mark. */
export async function readSeedFile(path: string, { root, service }: SeedFileContext): Promise<SeedFile> {
  const name = relative(root, path).split(sep).join('/')
  const bytes = await readFile(path).catch((error: unknown) => {
    throw new InfraError('INFRA_SEED_MISSING', {
      problem: `Cannot load ${name}: ${messageOf(error)}`,
      remedy: `Restore the file "${path}", or make it readable`,
      service,
      cause: error,
    })
  })
  const text = decode(bytes, { name, service })
  const nul = text.indexOf('\0')
  if (nul !== -1) {
    throw createSeedError({
      file: name,
      line: text.slice(0, nul).split('\n').length,
      reason: 'it contains a NUL character',
      remedy: 'Remove it; if the file is UTF-16, save it as UTF-8',
      service,
    })
  }
  return { name, text }
}

function decode(bytes: Uint8Array, { name, service }: { name: string; service: 'postgres' | 'redis' }): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    // Output that Windows PowerShell redirects with ">" is UTF-16. An error is better than characters that are silently
    // replaced.
    const remedy = 'Save the file as UTF-8'
    throw createSeedError({ file: name, reason: 'the file is not UTF-8 text', remedy, service, cause })
  }
}
