import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { PoolClient } from 'pg'
import { discardSession } from '../seeds/load-sql-files.ts'
import { createSeedError } from '../seeds/seed-error.ts'
import { readSeedFile, type SeedFile } from '../seeds/seed-file.ts'
import type { SeedStep } from '../config/infra-options.ts'
import { assertArguments } from './assert-arguments.ts'
import { copyRows } from './copy-rows.ts'
import { describeDumpFailure, isHarmless } from './dump-failure.ts'
import { type DumpPart, splitDump } from './dump-parts.ts'

/** Options of `pgDump()`. */
export interface PgDumpOptions {
  /**
   * Handling of statements that set owners and privileges for missing roles. `'fail'` reports the name of the role, and
   * `'skip'` skips the statement. Skipped objects belong to the role that fills the template.
   *
   * @default 'fail'
   */
  readonly missingRoles?: 'fail' | 'skip'
}

/** First bytes of an archive that `pg_dump -Fc` creates. */
const ARCHIVE_MARK = 'PGDMP'

/**
 * Loads a plain-format file of `pg_dump` without psql. Supports SQL, `COPY … FROM stdin` with rows, and `\restrict`.
 * Other psql commands are refused before any statement runs.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for invalid arguments
 * @throws InfraError `INFRA_SEED_FAILED` with file, line and PostgreSQL's message
 * @example
 * defineInfra({ postgres: { migrations: pgDump('db/schema.sql', { missingRoles: 'skip' }) } })
 */
export function pgDump(file: string, options: PgDumpOptions = {}): SeedStep {
  assertArguments('pgDump', { file, ...options })
  const { missingRoles = 'fail' } = options
  return {
    name: missingRoles === 'skip' ? `pg_dump ${file} without missing roles` : `pg_dump ${file}`,
    key: JSON.stringify(['pgDump', file, missingRoles]),
    files: [file],
    async run({ pool, root }) {
      const path = resolve(root, file)
      await assertPlain(path, file)
      const dump = await readSeedFile(path, { root, service: 'postgres' })
      const parts = splitDump(dump)
      const client = await pool.connect()
      try {
        await loadDump(client, { dump, parts, missingRoles })
        await discardSession(client, dump)
      } finally {
        client.release(true)
      }
    },
  }
}

interface Dump {
  readonly dump: SeedFile
  readonly parts: readonly DumpPart[]
  readonly missingRoles: 'fail' | 'skip'
}

async function loadDump(client: PoolClient, { dump, parts, missingRoles }: Dump): Promise<void> {
  for (const part of parts) {
    const { text, rows } = part
    const running = rows ? copyRows(client, text, dump.text.slice(rows.start, rows.end)) : client.query(text)
    await running.catch((error: unknown) => {
      if (!isHarmless(error, part, missingRoles)) {
        throw describeDumpFailure(error, part, dump)
      }
    })
  }
}

async function assertPlain(path: string, name: string): Promise<void> {
  const head = Buffer.alloc(ARCHIVE_MARK.length)
  // A file that cannot be opened is reported later, when it is read.
  const file = await open(path).catch(() => undefined)
  await file?.read(head)
  await file?.close()
  if (head.toString() === ARCHIVE_MARK) {
    throw createSeedError({
      file: name,
      reason: 'it is an archive of pg_dump, not SQL',
      remedy: `Dump with --format=plain, or turn it into SQL with: pg_restore --file=schema.sql ${name}`,
      service: 'postgres',
    })
  }
}
