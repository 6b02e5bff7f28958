import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** How long an interrupted run has to clean up. */
const GRACE_MS = 10_000

/** One run of the benchmark. It identifies and stops everything that the run starts. */
export class Session {
  readonly id = randomBytes(4).toString('hex')
  /** The label of each container, volume and network. */
  readonly labels = { 'vitest-infra.bench': this.id }
  readonly signal: AbortSignal
  readonly #children = new Set<ChildProcess>()

  constructor(signal: AbortSignal) {
    this.signal = signal
  }

  /** The processes that run at the moment. */
  get pids(): readonly number[] {
    return [...this.#children].flatMap(({ pid }) => pid ?? [])
  }

  /** A temporary folder, removed when the benchmark ends. */
  createFolder(): string {
    const folder = mkdtempSync(join(tmpdir(), 'vitest-infra-bench-'))
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
    return folder
  }

  /** In its own process group, so that processes left by a killed run can be stopped with it. */
  spawn(file: string, args: readonly string[], options: SpawnOptions): ChildProcess {
    this.signal.throwIfAborted()
    const child = spawn(file, args, { ...options, detached: true })
    this.#children.add(child)
    const end = () => endGroup(child)
    this.signal.addEventListener('abort', end)
    child.once('exit', () => {
      this.#children.delete(child)
      this.signal.removeEventListener('abort', end)
      killGroup(child, 'SIGKILL')
    })
    return child
  }

  progress(text: string): void {
    process.stderr.write(`${text}\n`)
  }
}

function endGroup(child: ChildProcess): void {
  killGroup(child, 'SIGTERM')
  setTimeout(() => killGroup(child, 'SIGKILL'), GRACE_MS).unref()
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-Number(pid), signal)
  } catch {
    // The group has no process left.
  }
}
