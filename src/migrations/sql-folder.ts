import { relative, resolve, sep, basename } from 'node:path'
import type { PoolClient } from 'pg'
import { findSeedFiles } from '../seeds/find-seed-files.ts'
import { loadSqlFile } from '../seeds/load-sql-files.ts'
import { createSeedError } from '../seeds/seed-error.ts'
import { readSeedFile, type SeedFile } from '../seeds/seed-file.ts'
import type { SeedStep } from '../config/infra-options.ts'
import { assertArguments } from './assert-arguments.ts'
import { forwardPartOf, SQL_CONVENTIONS, type SqlConvention, type SqlConventionName } from './sql-conventions.ts'

/** Options of `sqlFolder()`. */
export interface SqlFolderOptions {
  /**
   * The convention that the files follow: `'plain'` (all except `*.down.sql`, in natural order), `'golang-migrate'`
   * (`*.up.sql`), `'dbmate'` (`-- migrate:up`), `'goose'` (`-- +goose Up`) or `'flyway'` (`V1__*.sql` by version, then
   * `R__*.sql`).
   *
   * @default 'plain'
   */
  readonly convention?: SqlConventionName
  /** Pattern for the files to skip. It is matched against the path in the folder, with forward slashes. */
  readonly exclude?: RegExp
}

/**
 * Runs the forward migrations in a folder of SQL files that were written for a migration tool. They run statement by
 * statement, without a transaction. The tool's version table is not created; if you need it, run the tool with
 * `command()`.
 *
 * @throws InfraError `INFRA_CONFIG_INVALID` for invalid arguments
 * @throws InfraError `INFRA_SEED_FAILED` with file, line and PostgreSQL's message
 * @example
 * defineInfra({ postgres: { migrations: sqlFolder('db/migrations', { convention: 'dbmate' }) } })
 */
export function sqlFolder(folder: string, options: SqlFolderOptions = {}): SeedStep {
  assertArguments('sqlFolder', { folder, ...options })
  const { convention = 'plain', exclude } = options
  const name = [`SQL of ${folder}`, convention, exclude && `without ${exclude}`].filter(Boolean).join(' ')
  return {
    name,
    key: JSON.stringify(['sqlFolder', folder, convention, String(exclude)]),
    files: [folder],
    async run({ pool, root }) {
      const files = await readForward(folder, { root, convention, exclude })
      const client = await pool.connect()
      try {
        await loadAll(client, files)
      } finally {
        client.release(true)
      }
    },
  }
}

interface Reading {
  readonly root: string
  readonly convention: SqlConventionName
  readonly exclude: RegExp | undefined
}

async function readForward(folder: string, { root, convention, exclude }: Reading): Promise<SeedFile[]> {
  const rules: SqlConvention = SQL_CONVENTIONS[convention]
  const paths = findSeedFiles('postgres', { root, migrations: [folder], seeds: [] }).filter(
    (path) => rules.isForward(basename(path)) && !(exclude && isExcluded(nameIn(resolve(root, folder), path), exclude)),
  )
  if (paths.length === 0) {
    throw createSeedError({
      file: folder,
      reason: `no file in it follows the convention ${convention}`,
      remedy: `Correct its options: convention (${Object.keys(SQL_CONVENTIONS).join(', ')}) and exclude`,
      service: 'postgres',
    })
  }
  const { compare } = rules
  const sorted = compare ? paths.toSorted((left, right) => compare(basename(left), basename(right))) : paths
  const files = await Promise.all(sorted.map((path) => readSeedFile(path, { root, service: 'postgres' })))
  return files.map((file) => cutForward(file, rules))
}

function cutForward(file: SeedFile, rules: SqlConvention): SeedFile {
  const text = forwardPartOf(file.text, rules)
  if (text === undefined) {
    throw createSeedError({
      file: file.name,
      reason: `it has no line "${rules.marks?.written}"`,
      remedy: 'Write that line above its first statement, or correct the option convention of its folder',
      service: 'postgres',
    })
  }
  return { ...file, text }
}

async function loadAll(client: PoolClient, files: readonly SeedFile[]): Promise<void> {
  for (const file of files) {
    await loadSqlFile(client, file)
  }
}

/**
 * Whether a file is to be skipped. Uses `search()`, as `test()` continues after the last match of a pattern with the
 * flag `g` or `y`.
 */
function isExcluded(name: string, exclude: RegExp): boolean {
  return name.search(exclude) >= 0
}

function nameIn(folder: string, path: string): string {
  return relative(folder, path).split(sep).join('/')
}
