import type { ChildProcess } from 'node:child_process'
import { tmpdir } from 'node:os'
import { parse } from 'node:path'
import { forkBeside } from '../../fork-beside.ts'
import type { EngineAccess } from '../engine/find-engine.ts'

const ENTRY = 'providers/docker/container/start-guard-process'
/** The only message to it. If this process dies, the connection ends without it. */
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
    const child = forkBeside(ENTRY, [runId, engine.host, ...keys], {
      environment: { ...environment, NODE_OPTIONS: '' },
      // A folder that always exists, whatever TMPDIR says.
      cwd: parse(tmpdir()).root,
    })
    // Without it, such a container stays until the next run; that is no reason to fail.
    child.on('error', () => {}).unref()
    child.channel?.unref()
    return child
  }
}
