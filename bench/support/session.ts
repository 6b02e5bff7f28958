import { type ChildProcess, spawn, type SpawnOptions } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** How long a run that was asked to end has to clean up behind itself. */
const GRACE_MS = 10_000

/** One call of the benchmark: everything that it starts can be told by it, and ends with it. */
export class Session {
  readonly id = randomBytes(4).toString('hex')
  /** Stands on each container, volume and network. */
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

  /** In a process group of its own, so that what it leaves behind when it is killed can be ended with it. */
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
    // Nobody of the group is left.
  }
}
