import type { ChildProcess } from 'node:child_process'
import { tmpdir } from 'node:os'
import { parse } from 'node:path'
import { forkDetached } from '../../fork-detached.ts'
import type { EngineAccess } from '../engine/engine-address.ts'

const ENTRY = 'providers/docker/container/start-guard-process'
/** The only message to the child. If this process dies, the connection closes without this message. */
const STARTED = 'started'

export interface StartGuardOptions {
  readonly engine: EngineAccess
  readonly runId: string
  readonly environment: Readonly<Record<string, string | undefined>>
}

/**
 * Removes containers that were created but not yet started when this process dies. No lifeline runs in them, so the
 * engine would keep them forever. While containers are being started, a detached child waits for this process to exit.
 */
export class StartGuard {
  readonly #options: StartGuardOptions
  #child: ChildProcess | undefined
  #starts = 0

  constructor(options: StartGuardOptions) {
    this.#options = options
  }

  /** Guards a start, from before the container is created until the container runs. */
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
    const child = forkDetached(ENTRY, [runId, engine.host, ...keys], {
      environment: { ...environment, NODE_OPTIONS: '' },
      // The root folder always exists, unlike the folder in TMPDIR.
      cwd: parse(tmpdir()).root,
    })
    // Without the child, an unstarted container may stay until the next run, which is no reason to fail.
    child.on('error', () => {}).unref()
    child.channel?.unref()
    return child
  }
}
