import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { redact } from '../internal/redact.ts'

type Variables = Readonly<Record<string, string | undefined>>

/** Env files that are in use; the others are examples to copy. */
const ENV_FILE = /^\.env(?:\.(?!.*\b(?:example|sample|template|dist)$).+)?$/
/** The variables that say which database is meant, whose value is another one in each lease. */
const OF_LEASE = ['POSTGRES_DB', 'DB_NAME', 'PGDATABASE']
const NAMES_SHOWN = 6

export interface TestEnvContext {
  /** The variables of the stack's main databases. */
  readonly leased: Readonly<Record<string, string>>
  /** The environment of the process as it was before the run. */
  readonly inherited: Variables
  /** Where env files may be. */
  readonly folders: readonly string[]
}

export interface SettledTestEnv {
  /** What tests have whatever they lease. */
  readonly kept: Readonly<Record<string, string>>
  /** Lines for the user about the rest. */
  readonly lines: readonly string[]
}

/**
 * What `test.env` says about the variables of a lease. A value that was written there by hand is meant. One that an env
 * file or the process has for the same name was loaded with all others, as by `loadEnv(mode, root, '')`; it points to the
 * database that somebody works with, and the lease wins.
 */
export function settleTestEnv(testEnv: Variables, { leased, inherited, folders }: TestEnvContext): SettledTestEnv {
  const set = Object.entries(testEnv).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
  const differs = ([name, value]: readonly [string, string]) => leased[name] !== value || OF_LEASE.includes(name)
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
            `test.env has ${listNames(conflicts)} as the environment or an env file does: tests get the values of their lease instead`,
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

/** The variables of each env file of a folder, as written and with their references to other variables replaced. */
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
    // A folder that is not there has none.
    return []
  }
}

const REFERENCE = /(?<!\\)\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))/g
const MAX_NESTING = 5

/** As Vite does it: `$NAME`, `${NAME}` and `${NAME:-default}`. */
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
