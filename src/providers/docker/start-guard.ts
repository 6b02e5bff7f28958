import { type ChildProcess, fork } from 'node:child_process'
import { tmpdir } from 'node:os'
import { entryFile } from '../../package-files.ts'
import type { EngineAccess } from './find-engine.ts'

const PROCESS_FILE = entryFile('providers/docker/start-guard-process')
/** All that it is told; that nobody can tell it anything any more is told by the end of the connection. */
const STARTED = 'started'

export interface StartGuardOptions {
  readonly engine: EngineAccess
  readonly runId: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

/**
 * Sees to it that a container goes with this process even where it was created and not started yet: nothing runs in it
 * that could notice, and an engine keeps it for ever. While containers are being started, a process of our own that
 * nobody kills with this one waits for its end.
 */
export class StartGuard {
  readonly #options: StartGuardOptions
  #child: ChildProcess | undefined
  #starts = 0

  constructor(options: StartGuardOptions) {
    this.#options = options
  }

  /** Guards a start, from before the container is created until it runs. */
  async during<T>(start: () => Promise<T>): Promise<T> {
    this.#starts += 1
    this.#child ??= this.#spawn()
    try {
      return await start()
    } finally {
      this.#starts -= 1
      if (this.#starts === 0) {
        this.#child.send(STARTED, () => {})
        this.#child = undefined
      }
    }
  }

  #spawn(): ChildProcess {
    const { engine, runId, environment } = this.#options
    const keys = engine.tlsDirectory === undefined ? [] : [engine.tlsDirectory]
    const child = fork(PROCESS_FILE, [runId, engine.host, ...keys], {
      // A group of its own, which no Ctrl-C reaches, in a folder that nobody wants to remove.
      detached: true,
      cwd: tmpdir(),
      execArgv: [],
      env: { ...environment, NODE_OPTIONS: '' },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    // Without it, such a container stays until the next run; that is no reason to fail.
    child.on('error', () => {}).unref()
    child.channel?.unref()
    return child
  }
}
