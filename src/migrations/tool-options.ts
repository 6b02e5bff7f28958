import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { SeedContext } from '../spec/infra-options.ts'

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

/** What a step with a process of its own depends on beside its code, from the project's root. */
export function filesFrom(cwd = '.', ...files: readonly (string | undefined)[]): string[] {
  return files.flatMap((file) => (file === undefined ? [] : [join(cwd, file)]))
}

/**
 * What to call a process. A step's name is part of the fingerprint, so all that changes what it does stands in it;
 * variables as a digest, since some are secret.
 */
export function nameProcess(words: readonly string[], { cwd, env }: ProcessOptions): string {
  const place = cwd === undefined ? '' : ` in ${cwd}`
  return `${words.join(' ')}${place}${env === undefined ? '' : ` with variables ${digest(env)}`}`
}

/** The variables of a process, over those of this one. */
export function environmentFor(
  { url, env }: Pick<SeedContext, 'url' | 'env'>,
  given: ToolEnvironment = {},
): Readonly<Record<string, string>> {
  return { ...env, ...(typeof given === 'function' ? given({ url, env }) : given) }
}

function digest(env: ToolEnvironment): string {
  const text = typeof env === 'function' ? String(env) : JSON.stringify(env)
  return createHash('sha256').update(text).digest('hex').slice(0, 8)
}
