import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter } from 'node:path'

import type { EngineRecord } from './engine.ts'
import type { Lab } from './lab.ts'
import { LabError, reasonOf } from './report.ts'

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * The variables with which a command reaches this clone's engine. The first `docker` in the PATH has compose, even if
 * the machine's own lacks it.
 */
export function engineEnvironment(
  { environment, layout }: Lab,
  { socket }: EngineRecord,
): { readonly DOCKER_HOST: string; readonly PATH: string } {
  const path = environment['PATH'] ?? ''
  return {
    DOCKER_HOST: `unix://${socket}`,
    PATH: path.split(delimiter)[0] === layout.bin ? path : [layout.bin, path].join(delimiter),
  }
}

/** Runs a command in the foreground and resolves with its exit code: 128 and the signal's number if one ended it. */
export async function runCommand(
  command: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<number> {
  const child = spawn(command, args, { stdio: 'inherit', env: environment })
  const forward = (signal: NodeJS.Signals): void => {
    if (!reachesChildAnyway(signal)) child.kill(signal)
  }
  for (const signal of FORWARDED) process.on(signal, forward)
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (error) => reject(commandError(command, error)))
      child.once('close', (code, signal) => resolve(signal === null ? (code ?? 1) : 128 + constants.signals[signal]))
    })
  } finally {
    for (const signal of FORWARDED) process.off(signal, forward)
  }
}

/** The error for a command that was not found or cannot run, with a shell's exit code. */
function commandError(command: string, cause: Error): LabError {
  const isMissing = 'code' in cause && cause.code === 'ENOENT'
  const reason = isMissing ? 'there is no such program in PATH' : reasonOf(cause)
  return new LabError(
    `Cannot run "${command}": ${reason}`,
    'Check its name; programs of node_modules/.bin are found only by npm scripts',
    {
      cause,
      exitCode: isMissing ? 127 : 126,
    },
  )
}

/**
 * Whether a terminal sends the signal to the whole foreground group. If forwarded, it would arrive twice, which many
 * tools treat as "immediately".
 */
function reachesChildAnyway(signal: NodeJS.Signals): boolean {
  if (signal === 'SIGTERM') return false
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8')
    const [, , group, , terminal, foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return terminal !== '0' && group === foreground
  } catch {
    return false
  }
}
