import type { EventEmitter } from 'node:events'

const GRACE_MS = 2_000
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** The process that runs Vitest: its environment, which tools inherit, and its signals. */
export type Host = Pick<NodeJS.Process, 'env' | 'execPath' | 'platform' | 'kill' | 'once' | 'off'>

/** The reason why a program exited or did not start. */
export type ProgramExit =
  | { readonly type: 'exited'; readonly code: number }
  | { readonly type: 'killed'; readonly signal: string }
  | { readonly type: 'timed-out' }
  | { readonly type: 'not-started'; readonly error: Error }

export interface ExitOptions {
  readonly timeoutMs: number
  readonly host: Host
  /** Sends a signal to the program and its child processes. */
  readonly kill: (signal: 'SIGTERM' | 'SIGKILL') => void
}

/** Resolves when the program has exited by itself, after the timeout, or because this process exits. */
export function awaitExit(child: EventEmitter, { timeoutMs, host, kill }: ExitOptions): Promise<ProgramExit> {
  return new Promise((resolve) => {
    let cutShort: ProgramExit | undefined
    let killing: NodeJS.Timeout | undefined
    const terminate = (exit: ProgramExit) => {
      cutShort ??= exit
      killing ??= setTimeout(() => kill('SIGKILL'), GRACE_MS)
      kill('SIGTERM')
    }
    const timer = setTimeout(() => terminate({ type: 'timed-out' }), timeoutMs)
    const stopListening = listen(host, (signal) => terminate({ type: 'killed', signal }), kill)
    const settle = (exit: ProgramExit) => {
      clearTimeout(timer)
      clearTimeout(killing)
      stopListening()
      if (cutShort) {
        // Child processes may outlive the program, so they are killed too.
        kill('SIGKILL')
      }
      resolve(cutShort ?? exit)
    }
    child.once('error', (error: Error) => settle({ type: 'not-started', error }))
    child.once('exit', (code: number | null, signal: string | null) =>
      settle(code === null ? { type: 'killed', signal: signal ?? 'a signal' } : { type: 'exited', code }),
    )
  })
}

/**
 * Calls `onSignal` for this process's signals, and kills the program when this process exits. A terminal does not send
 * its signals to a program in another process group. Returns a function that stops listening.
 */
function listen(host: Host, onSignal: (signal: string) => void, kill: ExitOptions['kill']): () => void {
  const onExit = () => kill('SIGKILL')
  SIGNALS.forEach((signal) => host.once(signal, onSignal))
  host.once('exit', onExit)
  return () => {
    SIGNALS.forEach((signal) => host.off(signal, onSignal))
    host.off('exit', onExit)
  }
}
