import { join } from 'node:path'
import { libpqVariables, postgresUrl, postgresVariables } from '../environment/variable-set.ts'
import { digest } from '../internal/digest.ts'
import type { SeedContext, SeedStep } from '../config/infra-options.ts'

const SOME_ADDRESS = { host: 'localhost', port: 5432, user: 'user', password: 'password', database: 'database' }

/** A sample database. `env` functions are called with it to compute a key. */
const SAMPLE = {
  url: postgresUrl(SOME_ADDRESS),
  env: { ...postgresVariables(SOME_ADDRESS), ...libpqVariables(SOME_ADDRESS) },
}

/** Variables for a tool, or a function that derives them from those of the database. */
export type ToolEnvironment =
  Readonly<Record<string, string>> | ((database: Pick<SeedContext, 'url' | 'env'>) => Readonly<Record<string, string>>)

/** Options of all tools that run in a separate process. */
export interface ProcessOptions {
  /**
   * The working directory, to which relative paths refer.
   *
   * @default the folder of `infra.config.ts`
   */
  readonly cwd?: string
  /** Additional files and folders that the tool reads. If one of them changes, the template is rebuilt. */
  readonly files?: readonly string[]
  /**
   * Additional variables. The tool always receives the variables of this process, and `DATABASE_URL`, `PG*`, `DB_*` and
   * `POSTGRES_*` for the database to fill.
   *
   * @default {}
   */
  readonly env?: ToolEnvironment
  /**
   * Timeout for the tool in milliseconds.
   *
   * @default 120000
   */
  readonly timeoutMs?: number
}

/** Options of tools that run with Node. */
export interface NodeToolOptions extends ProcessOptions {
  /** Arguments of Node itself, such as `['--import', 'tsx']`. */
  readonly nodeArgs?: readonly string[]
}

/** Options of tools with a command line. */
export interface ToolOptions extends NodeToolOptions {
  /** Additional arguments of the tool. */
  readonly args?: readonly string[]
}

/** Returns the files that a step reads, relative to the project's root. */
export function filesFrom(cwd = '.', ...files: readonly (string | undefined)[]): string[] {
  return files.flatMap((file) => (file === undefined ? [] : [join(cwd, file)]))
}

/** Returns the path of the manifest of an installed package. Its content includes the package's version. */
export function manifestOf(packageName: string): string {
  return `node_modules/${packageName}/package.json`
}

/** Returns the name of a process for messages. */
export function nameProcess(words: readonly string[], { cwd }: ProcessOptions): string {
  return cwd === undefined ? words.join(' ') : `${words.join(' ')} in ${cwd}`
}

/**
 * Returns the key of a step, with all options that its caller chose except the timeout. Variables are included as a
 * digest, as some are secret. Returns no key if `env` is a function that fails for a sample database.
 */
export function keyOf(
  tool: string,
  { env, timeoutMs: _timeoutMs, ...options }: ProcessOptions & Readonly<Record<string, unknown>>,
): Pick<SeedStep, 'key'> {
  try {
    return { key: JSON.stringify([tool, options, env === undefined ? '' : digestEnvironment(env)]) }
  } catch {
    return {}
  }
}

/** Returns the variables to set for a process, in addition to those of this process. */
export function environmentFor(
  { url, env }: Pick<SeedContext, 'url' | 'env'>,
  given: ToolEnvironment = {},
): Readonly<Record<string, string>> {
  return { ...env, ...(typeof given === 'function' ? given({ url, env }) : given) }
}

/**
 * Returns a digest of the variables. A function is called with the sample database, so that values from its closure are
 * part of the digest.
 */
function digestEnvironment(env: ToolEnvironment): string {
  const given = typeof env === 'function' ? env(SAMPLE) : env
  const variables = Object.entries(given).toSorted(([left], [right]) => (left < right ? -1 : 1))
  return digest(JSON.stringify([variables, typeof env === 'function' ? String(env) : '']))
}
