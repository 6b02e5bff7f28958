import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { redact } from '../internal/redact.ts'

type Variables = Readonly<Record<string, string | undefined>>

/** Matches env files, except examples. */
const ENV_FILE = /^\.env(?:\.(?!.*\b(?:example|sample|template|dist)$).+)?$/
/** Variables that contain the database's name, which differs in each lease. */
const DATABASE_NAMES = ['POSTGRES_DB', 'DB_NAME', 'PGDATABASE']
const NAMES_SHOWN = 6

export interface TestEnvContext {
  /** The variables of the stack's main databases. */
  readonly leased: Readonly<Record<string, string>>
  /** The environment of the process before the run. */
  readonly inherited: Variables
  /** The folders to search for env files. */
  readonly folders: readonly string[]
}

export interface SettledTestEnv {
  /** The variables of `test.env` that override those of a lease. */
  readonly kept: Readonly<Record<string, string>>
  /** Messages for the user about conflicts. */
  readonly lines: readonly string[]
}

/**
 * Resolves conflicts between `test.env` and the variables of a lease. A value that the user wrote in `test.env`
 * overrides the lease. A value that is also in an env file or in the process's environment was probably loaded by
 * `loadEnv(mode, root, '')`. It points to the development database, so the lease overrides it.
 */
export function settleTestEnv(testEnv: Variables, { leased, inherited, folders }: TestEnvContext): SettledTestEnv {
  const set = Object.entries(testEnv).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
  const differs = ([name, value]: readonly [string, string]) => leased[name] !== value || DATABASE_NAMES.includes(name)
  const rivals = set.filter(([name]) => name in leased)
  const sources = rivals.some(differs)
    ? [inherited, ...folders.flatMap((folder) => readEnvFiles(folder, inherited))]
    : []
  const isLoaded = ([name, value]: readonly [string, string]) => sources.some((source) => source[name] === value)
  const loaded = rivals.filter(isLoaded)
  const written = rivals.filter((entry) => differs(entry) && !isLoaded(entry))
  const conflicts = loaded.filter(differs).map(([name]) => name)
  return {
    kept: Object.fromEntries(set.filter((entry) => !loaded.includes(entry))),
    lines: [
      ...(conflicts.length > 0
        ? [
            `test.env repeats ${listNames(conflicts)} from the environment or an env file: tests get the values of their lease instead`,
          ]
        : []),
      ...written.map(
        ([name, value]) =>
          `test.env sets ${name} to ${hideSecrets(name, value)}: tests use that instead of their lease; remove it from test.env if they should use the lease`,
      ),
    ],
  }
}

function listNames(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN
  return `${names.slice(0, NAMES_SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

function hideSecrets(name: string, value: string): string {
  return /PASS|SECRET|TOKEN/i.test(name) ? '***' : redact(value, { user: undefined, password: undefined })
}

/** Returns the variables of each env file in a folder twice: with unexpanded and with expanded references. */
function readEnvFiles(folder: string, inherited: Variables): Variables[] {
  return envFilesIn(folder).flatMap((path) => {
    const values: Variables = parseEnv(readFileSync(path, 'utf8'))
    const expanded = Object.entries(values).map(([name, value = '']) => [
      name,
      expand(value, (key) => inherited[key] ?? values[key]),
    ])
    return [values, Object.fromEntries(expanded) as Variables]
  })
}

function envFilesIn(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true })
    return entries.filter((entry) => entry.isFile() && ENV_FILE.test(entry.name)).map(({ name }) => join(folder, name))
  } catch {
    // A folder that does not exist has no env files.
    return []
  }
}

const REFERENCE = /(?<!\\)\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))/g
const MAX_NESTING = 5

/** Expands references as Vite does: `$NAME`, `${NAME}` and `${NAME:-default}`. */
function expand(value: string, valueOf: (name: string) => string | undefined): string {
  let text = value
  for (let round = 0; round < MAX_NESTING && text.includes('$'); round += 1) {
    text = text.replaceAll(
      REFERENCE,
      (_whole, braced?: string, fallback?: string, bare?: string) => valueOf(braced ?? bare ?? '') || fallback || '',
    )
  }
  return text.replaceAll('\\$', '$')
}
