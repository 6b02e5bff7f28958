import type { EventEmitter } from 'node:events'

const GRACE_MS = 2_000
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** What a tool inherits of this process, and how it learns that this one ends; an entry hands it down. */
export type Host = Pick<NodeJS.Process, 'env' | 'execPath' | 'platform' | 'kill' | 'once' | 'off'>

/** How a program ended. */
export type ProgramEnd =
  | { readonly type: 'exited'; readonly code: number }
  | { readonly type: 'killed'; readonly signal: string }
  | { readonly type: 'timed-out' }
  | { readonly type: 'not-started'; readonly error: Error }

export interface EndOptions {
  readonly timeoutMs: number
  readonly host: Host
  /** Sends a signal to the program and all that it started. */
  readonly kill: (signal: 'SIGTERM' | 'SIGKILL') => void
}

/** Resolves when a program has ended: by itself, because its time is up, or because this process exits. */
export function awaitEnd(child: EventEmitter, { timeoutMs, host, kill }: EndOptions): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    let cutShort: ProgramEnd | undefined
    let killing: NodeJS.Timeout | undefined
    const terminate = (end: ProgramEnd) => {
      cutShort ??= end
      killing ??= setTimeout(() => kill('SIGKILL'), GRACE_MS)
      kill('SIGTERM')
    }
    const timer = setTimeout(() => terminate({ type: 'timed-out' }), timeoutMs)
    const stopListening = listen(host, (signal) => terminate({ type: 'killed', signal }), kill)
    const settle = (end: ProgramEnd) => {
      clearTimeout(timer)
      clearTimeout(killing)
      stopListening()
      if (cutShort) {
        // What it started may have survived it.
        kill('SIGKILL')
      }
      resolve(cutShort ?? end)
    }
    child.once('error', (error: Error) => settle({ type: 'not-started', error }))
    child.once('exit', (code: number | null, signal: string | null) =>
      settle(code === null ? { type: 'killed', signal: signal ?? 'a signal' } : { type: 'exited', code }),
    )
  })
}

/** A program with a process group of its own gets none of the terminal's signals. */
function listen(host: Host, onSignal: (signal: string) => void, kill: EndOptions['kill']): () => void {
  const onExit = () => kill('SIGKILL')
  SIGNALS.forEach((signal) => host.once(signal, onSignal))
  host.once('exit', onExit)
  return () => {
    SIGNALS.forEach((signal) => host.off(signal, onSignal))
    host.off('exit', onExit)
  }
}
