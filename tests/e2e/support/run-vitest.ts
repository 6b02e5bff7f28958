import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import { expect, onTestFailed, onTestFinished } from 'vitest'
import type { Consumer } from '../consumers.ts'
import { leftoversOf, removeContainersOf, watchCreations } from './containers.ts'
import { type Places, plain } from './plain.ts'

/**
 * The variables of this process that a consumer's Vitest inherits; those of the outer Vitest and its servers are not
 * passed on.
 */
const INHERITED = /^(PATH|HOME|TMPDIR|LANG|XDG_RUNTIME_DIR|DOCKER_\w+|TESTCONTAINERS_\w+)$/

const PATIENCE_MS = 120_000

/** Uses local processes, which start faster than containers. */
export const LOCAL = { VITEST_INFRA_PROVIDER: 'embedded' }

/** Prevents slow tests from being listed on a busy machine. */
const STABLE_OUTPUT = '--slowTestThreshold=60000'

export interface RunOptions {
  readonly consumer: Consumer
  /** @default ['run'] */
  readonly args?: readonly string[]
  /** A program of the project, with its arguments, in place of Vitest's command. */
  readonly program?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Files that replace or extend those of the fixture project. */
  readonly files?: Readonly<Record<string, string>>
  /** Runs in a terminal: input arrives as from a keyboard, and both outputs are combined. */
  readonly terminal?: boolean
  /** Uses the folder of an ended run, with everything it wrote, instead of a fresh copy. */
  readonly after?: VitestRun
}

/** The result of a run, as text that is the same every time. */
export interface EndedRun {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  readonly elapsedMs: number
  /** The services whose containers were created. */
  readonly created: readonly string[]
}

/**
 * Variables for a run that could have its servers from anywhere: with the newest Vitest they are local processes, and with
 * the older one they are containers, so that both are tried.
 */
export function anyServers({ vitestMajor }: Consumer): Readonly<Record<string, string>> {
  return vitestMajor === 5 ? LOCAL : {}
}

/** Runs a fixture project until it exits. */
export async function runVitest(project: string, options: RunOptions): Promise<EndedRun> {
  const run = await startVitest(project, options)
  return run.ended
}

/**
 * Starts the real Vitest in a fresh copy of a fixture project. The run is stopped after the test, and the test fails if
 * it leaves a container or a temporary file.
 */
export async function startVitest(project: string, options: RunOptions): Promise<VitestRun> {
  const { consumer, after, files = {} } = options
  const name = after?.project ?? `${project}-${Math.random().toString(36).slice(2, 8)}`
  const folder = join(consumer.folder, name)
  if (!after) {
    await cp(join(consumer.folder, project), folder, { recursive: true })
  }
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  await mkdir(join(folder, 'tmp'), { recursive: true })
  const creations = await watchCreations(name)
  const run = new VitestRun(folder, options, creations.created)
  onTestFailed(() => {
    throw new Error(`The run's whole output:\n${run.stdout}\n${run.stderr}`)
  })
  onTestFinished(async () => {
    creations.end()
    await run.kill()
    const left = [...(await leftoversOf(name)), ...(await run.leftFiles())]
    await removeContainersOf(name)
    expect(left, 'what the run left behind').toEqual([])
  })
  return run
}

export class VitestRun {
  readonly folder: string
  readonly ended: Promise<EndedRun>
  stdout = ''
  stderr = ''
  readonly #child: ChildProcess
  #over = false

  constructor(
    folder: string,
    { consumer, args = ['run'], program, env = {}, terminal }: RunOptions,
    created: readonly string[],
  ) {
    this.folder = folder
    const vitest = [process.execPath, join(consumer.folder, 'node_modules/vitest/vitest.mjs'), ...args, STABLE_OUTPUT]
    const words = program ? [process.execPath, ...program] : vitest
    const command = terminal ? ['script', '-qefc', words.map(quote).join(' '), '/dev/null'] : words
    this.#child = spawn(command[0] as string, command.slice(1), {
      cwd: folder,
      env: { ...cleanEnvironment(), TMPDIR: join(folder, 'tmp'), ...env },
      stdio: 'pipe',
      // A separate process group, so that all processes of the run can be found.
      detached: true,
    })
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.ended = this.#end({ folder, consumer: consumer.folder }, created)
  }

  /** The label of this run's containers. */
  get project(): string {
    return basename(this.folder)
  }

  get pid(): number {
    return this.#child.pid as number
  }

  /** Resolves once the output contains a text `times` times. */
  async said(text: string, times = 1): Promise<void> {
    for (let waitedMs = 0; this.#count(text) < times; waitedMs += 10) {
      if (this.#over || waitedMs > PATIENCE_MS) {
        throw new Error(`The run did not say "${text}" ${times} times, but:\n${this.stdout}\n${this.stderr}`)
      }
      await sleep(10)
    }
  }

  /** Signals Vitest's main process. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Closes the output, as `head` does. */
  closeOutput(): void {
    this.#child.stdout?.destroy()
    this.#child.stderr?.destroy()
  }

  /** Types into the terminal. */
  type(keys: string): void {
    this.#child.stdin?.write(keys)
  }

  /** Changes a file of the project. */
  async write(path: string, text: string): Promise<void> {
    await writeFile(join(this.folder, path), text)
  }

  /** Deletes a file of the project. */
  async remove(path: string): Promise<void> {
    await rm(join(this.folder, path))
  }

  /** Removes the temporary files that a killed process could not remove. */
  async forgetFiles(): Promise<void> {
    await rm(join(this.folder, 'tmp'), { recursive: true })
    await mkdir(join(this.folder, 'tmp'))
  }

  /** Lists our files in the folder for temporary files, which only this run uses. */
  async leftFiles(): Promise<string[]> {
    const files = await readdir(join(this.folder, 'tmp'))
    return files.filter((file) => file.startsWith('vitest-infra'))
  }

  /** Stops the run, if it has not exited, so that it can clean up; also stops workers that Vitest left. */
  async kill(): Promise<void> {
    if (!this.#over) {
      this.signal('SIGTERM')
      await Promise.race([this.ended, sleep(5_000)])
    }
    try {
      process.kill(-this.pid, 'SIGKILL')
    } catch {
      // The usual case: no process of the group remains.
    }
  }

  async #end(places: Places, created: readonly string[]): Promise<EndedRun> {
    const beginMs = performance.now()
    const [exitCode, signal] = (await once(this.#child, 'exit')) as [number | null, NodeJS.Signals | null]
    const elapsedMs = performance.now() - beginMs
    // A worker that Vitest left may keep the pipes open forever.
    await Promise.race([once(this.#child, 'close'), sleep(500)])
    this.#over = true
    return {
      exitCode,
      signal,
      stdout: plain(this.stdout, places),
      stderr: plain(this.stderr, places),
      elapsedMs,
      created,
    }
  }

  #count(text: string): number {
    return stripVTControlCharacters(this.stdout + this.stderr).split(text).length - 1
  }
}

export function cleanEnvironment(): Record<string, string | undefined> {
  const inherited = Object.entries(process.env).filter(([name]) => INHERITED.test(name))
  // Each run has its own folder, so that no run can use another one's cache.
  return Object.fromEntries([...inherited, ['NO_COLOR', '1'], ['VITEST_INFRA_SNAPSHOT', 'off']])
}

function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}
