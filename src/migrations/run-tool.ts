import { existsSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import { setVariables } from '../environment/set-variables.ts'
import { InfraError } from '../errors.ts'
import type { SeedContext } from '../config/infra-options.ts'
import type { Host } from './await-end.ts'
import { runProgram } from './run-program.ts'
import { describeToolFailure } from './tool-failure.ts'
import { environmentFor, type ProcessOptions } from './tool-options.ts'

const TIMEOUT_MS = 120_000

export interface ToolRun {
  /** What to call it in an error. */
  readonly name: string
  readonly command: readonly [string, ...string[]]
  readonly options: ProcessOptions
  /** Variables that make it fit for a test run; those of the options win over them. */
  readonly defaults?: Readonly<Record<string, string>> | undefined
  readonly context: SeedContext
  readonly host: Host
}

/**
 * Runs a tool on the database of a context.
 *
 * @throws InfraError `INFRA_SEED_FAILED` with all that it wrote, unless it ends with exit code 0 in time
 */
export async function runTool({ name, command, options, defaults, context, host }: ToolRun): Promise<void> {
  const cwd = resolve(context.root, options.cwd ?? '.')
  assertExists(cwd, { name, path: options.cwd ?? '.', root: context.root })
  const env = { ...host.env, ...defaults }
  setVariables(env, environmentFor(context, options.env))
  const program = { command, cwd, env: withLocalPrograms(env, cwd), timeoutMs: options.timeoutMs ?? TIMEOUT_MS }
  const result = await runProgram(program, host)
  if (result.end.type !== 'exited' || result.end.code !== 0) {
    const credentials = { user: context.env['PGUSER'], password: context.env['PGPASSWORD'] }
    throw describeToolFailure({ name, program, result, credentials })
  }
}

/**
 * Fails where a folder or file that a step needs is not there: the tool itself might find nothing to do, and say so.
 *
 * @throws InfraError `INFRA_SEED_MISSING`
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

/** As `npm run` does, so that a command is found however Vitest itself was started. */
function withLocalPrograms(env: Readonly<Record<string, string | undefined>>, directory: string) {
  // Windows calls it Path, and finds it under any spelling; a copy of its environment does not.
  const name = 'PATH' in env ? 'PATH' : (Object.keys(env).find((key) => key.toUpperCase() === 'PATH') ?? 'PATH')
  const path = [...localPrograms(directory), env[name]].filter(Boolean).join(delimiter)
  return { ...env, [name]: path }
}

function localPrograms(directory: string): string[] {
  const parent = dirname(directory)
  const here = join(directory, 'node_modules', '.bin')
  return parent === directory ? [here] : [here, ...localPrograms(parent)]
}
