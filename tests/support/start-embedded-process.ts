import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { StackFacts } from '../../src/environment/infra-facts.ts'
import type { InfraOptions } from '../../src/config/infra-options.ts'

const FILE = fileURLToPath(new URL('embedded-process.ts', import.meta.url))

export interface EmbeddedProcessOptions {
  readonly options?: InfraOptions
  readonly folder?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly account?: { readonly uid: number; readonly gid: number }
}

/** A process with a stack of local processes, which is stopped after the test. */
export class EmbeddedProcess {
  readonly child: ChildProcess
  output = ''
  errors = ''

  constructor({ options = {}, folder, environment = {}, account }: EmbeddedProcessOptions = {}) {
    this.child = spawn(process.execPath, [FILE, JSON.stringify(options)], {
      cwd: folder ?? import.meta.dirname,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...environment },
      ...account,
    })
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.output += text))
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.errors += text))
    onTestFinished(() => this.end())
  }

  get pid(): number {
    return this.child.pid as number
  }

  /** Resolves to the facts of its stack; rejects with any other output. */
  async up(): Promise<StackFacts> {
    while (!this.output.includes('\n')) {
      if (this.#isOver()) {
        throw new Error(this.errors)
      }
      await Promise.race([once(this.child, 'close'), once(this.child.stdout as NodeJS.EventEmitter, 'data')])
    }
    return JSON.parse(this.output) as StackFacts
  }

  /** Stops the process so that it can stop its stack. */
  async end(): Promise<void> {
    if (!this.#isOver()) {
      const over = once(this.child, 'exit')
      this.child.kill('SIGTERM')
      await over
    }
  }

  #isOver(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }
}
