import { existsSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import { setVariables } from '../environment/set-variables.ts'
import { InfraError } from '../errors.ts'
import type { SeedContext } from '../config/infra-options.ts'
import type { Host } from './await-exit.ts'
import { runProgram } from './run-program.ts'
import { describeToolFailure } from './tool-failure.ts'
import { environmentFor, type ProcessOptions } from './tool-options.ts'

const TIMEOUT_MS = 120_000

export interface ToolRun {
  /** Name of the tool in errors. */
  readonly name: string
  readonly command: readonly [string, ...string[]]
  readonly options: ProcessOptions
  /** Additional variables for a test run. The variables of `options` override them. */
  readonly defaults?: Readonly<Record<string, string>> | undefined
  readonly context: SeedContext
  readonly host: Host
}

/**
 * Runs a tool on the database of `context`.
 *
 * @throws InfraError `INFRA_SEED_FAILED` with the tool's output, unless the tool exits with code 0 before the timeout
 */
export async function runTool({ name, command, options, defaults, context, host }: ToolRun): Promise<void> {
  const cwd = resolve(context.root, options.cwd ?? '.')
  assertExists(cwd, { name, path: options.cwd ?? '.', root: context.root })
  const env = { ...host.env, ...defaults }
  setVariables(env, environmentFor(context, options.env))
  const program = { command, cwd, env: withLocalPrograms(env, cwd), timeoutMs: options.timeoutMs ?? TIMEOUT_MS }
  const result = await runProgram(program, host)
  if (result.exit.type !== 'exited' || result.exit.code !== 0) {
    const credentials = { user: context.env['PGUSER'], password: context.env['PGPASSWORD'] }
    throw describeToolFailure({ name, program, result, credentials })
  }
}

/**
 * Checks that a file or folder exists. Without it, the tool itself might only report that it found no migrations.
 *
 * @throws InfraError `INFRA_SEED_MISSING` if the file or folder does not exist
 */
export function assertExists(absolute: string, about: { name: string; path: string; root: string }): void {
  if (!existsSync(absolute)) {
    throw new InfraError('INFRA_SEED_MISSING', {
      problem: `Cannot fill the template: ${about.name} needs "${about.path}", which does not exist`,
      remedy: `Create it, or correct the path in postgres.migrations (relative paths start from ${about.root})`,
      service: 'postgres',
    })
  }
}

/**
 * Adds `node_modules/.bin` to PATH, as `npm run` does. Thus a command is found regardless of how Vitest was started.
 */
function withLocalPrograms(env: Readonly<Record<string, string | undefined>>, directory: string) {
  // On Windows, the variable is named Path and its case is ignored, but the keys of a copied environment are
  // case-sensitive.
  const name = 'PATH' in env ? 'PATH' : (Object.keys(env).find((key) => key.toUpperCase() === 'PATH') ?? 'PATH')
  const path = [...localPrograms(directory), env[name]].filter(Boolean).join(delimiter)
  return { ...env, [name]: path }
}

function localPrograms(directory: string): string[] {
  const parent = dirname(directory)
  const here = join(directory, 'node_modules', '.bin')
  return parent === directory ? [here] : [here, ...localPrograms(parent)]
}
