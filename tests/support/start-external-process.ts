import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { InfraOptions } from '../../src/config/infra-options.ts'

const FILE = fileURLToPath(new URL('external-process.ts', import.meta.url))

export interface ExternalTask {
  /** The mark that the process writes into each lease. */
  readonly name: string
  readonly options: InfraOptions
  readonly root: string
  /** Number of consecutive leases. */
  readonly rounds: number
  /** Whether the process keeps its leases and waits to be killed. */
  readonly holds?: boolean
  readonly environment?: Readonly<Record<string, string>>
}

/** The content that a process found in a lease. */
export interface Visit {
  readonly name: string
  readonly database: string
  readonly redis: number
  readonly rows: readonly string[]
  readonly notes: readonly string[]
}

export function startExternalProcess(task: ExternalTask) {
  const child = spawn(process.execPath, [FILE, JSON.stringify(task)], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...task.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const run = { output: '', errors: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (run.output += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (run.errors += text))
  const ended = once(child, 'close').then(([code]: (number | null)[]) => code)
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return {
    ended,
    get errors() {
      return run.errors
    },
    get visits(): readonly Visit[] {
      return run.output
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as Visit)
    },
    get isDone() {
      return run.output.includes('done\n')
    },
    kill: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}
