import { join } from 'node:path'
import { libpqVariables, postgresUrl, postgresVariables } from '../environment/variable-set.ts'
import { digest } from '../internal/digest.ts'
import type { SeedContext, SeedStep } from '../config/infra-options.ts'

const SOME_ADDRESS = { host: 'localhost', port: 5432, user: 'user', password: 'password', database: 'database' }

/** A database as any other. */
const SAMPLE = {
  url: postgresUrl(SOME_ADDRESS),
  env: { ...postgresVariables(SOME_ADDRESS), ...libpqVariables(SOME_ADDRESS) },
}

/** Variables for a tool, or a function that makes them of the database's own. */
export type ToolEnvironment =
  Readonly<Record<string, string>> | ((database: Pick<SeedContext, 'url' | 'env'>) => Readonly<Record<string, string>>)

/** Options of everything that runs as a process of its own. */
export interface ProcessOptions {
  /**
   * The folder that it runs in and that its relative paths start from.
   *
   * @default the folder of `infra.config.ts`
   */
  readonly cwd?: string
  /** Further files and folders that it reads: when one changes, the template is built anew. */
  readonly files?: readonly string[]
  /**
   * Further variables. Those of this process, and `DATABASE_URL`, `PG*`, `DB_*` and `POSTGRES_*` of the database that is
   * filled, are always there.
   *
   * @default {}
   */
  readonly env?: ToolEnvironment
  /**
   * Time within which it must end, in milliseconds.
   *
   * @default 120000
   */
  readonly timeoutMs?: number
}

/** Options of every tool that Node runs. */
export interface NodeToolOptions extends ProcessOptions {
  /** Arguments for Node itself, such as `['--import', 'tsx']`. */
  readonly nodeArgs?: readonly string[]
}

/** Options of every tool that has a command line. */
export interface ToolOptions extends NodeToolOptions {
  /** Further arguments for its command line. */
  readonly args?: readonly string[]
}

/** What a step with a process of its own depends on, apart from its code, relative to the project's root. */
export function filesFrom(cwd = '.', ...files: readonly (string | undefined)[]): string[] {
  return files.flatMap((file) => (file === undefined ? [] : [join(cwd, file)]))
}

/** Returns the version of a package that the user's project has. */
export function manifestOf(packageName: string): string {
  return `node_modules/${packageName}/package.json`
}

/** What to call a process. */
export function nameProcess(words: readonly string[], { cwd }: ProcessOptions): string {
  return cwd === undefined ? words.join(' ') : `${words.join(' ')} in ${cwd}`
}

/**
 * The key of a step: all that its caller chose, but for the time that it may take, and variables as a digest, since some
 * are secret. Without one, where the variables cannot be known before there is a database.
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

/** The variables of a process, over those of this one. */
export function environmentFor(
  { url, env }: Pick<SeedContext, 'url' | 'env'>,
  given: ToolEnvironment = {},
): Readonly<Record<string, string>> {
  return { ...env, ...(typeof given === 'function' ? given({ url, env }) : given) }
}

/** What a function closes over shows in what it returns. */
function digestEnvironment(env: ToolEnvironment): string {
  const given = typeof env === 'function' ? env(SAMPLE) : env
  const variables = Object.entries(given).toSorted(([left], [right]) => (left < right ? -1 : 1))
  return digest(JSON.stringify([variables, typeof env === 'function' ? String(env) : '']))
}
