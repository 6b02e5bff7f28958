import type { InfraError } from '../errors.ts'
import { createSeedError } from './seed-error.ts'

interface Place {
  readonly file: string
  readonly line: number
}

const META_COMMAND = /^\\(?:[A-Za-z]+|\S)?/

/** Creates the error for a backslash command, which only psql supports. */
export function refuseMetaCommand(text: string, place: Place): InfraError {
  return createSeedError({
    ...place,
    reason: `"${META_COMMAND.exec(text)?.[0]}" is a command of psql, not SQL`,
    remedy:
      'Write it as SQL (INSERT instead of \\copy), or remove it; ' +
      'instead of \\i, name the included file in postgres.migrations or postgres.seeds',
    service: 'postgres',
  })
}

/** Creates the error for a `COPY` whose rows follow in the file, which only psql supports. */
export function refuseCopyFromStdin(place: Place): InfraError {
  return createSeedError({
    ...place,
    reason: 'COPY … FROM stdin only works in psql',
    remedy: 'Write INSERT statements instead; pg_dump writes them with --rows-per-insert=1000',
    service: 'postgres',
  })
}
