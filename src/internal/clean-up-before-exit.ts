const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
type Signal = keyof typeof EXIT_CODES

const LIMIT_MS = 10_000
/** The first asks for the end, the second is impatience; the third means it. */
const SIGNALS_UNTIL_NOW = 3

/** The part of `process` that is needed here. */
export type EndingProcess = Pick<NodeJS.Process, 'exit' | 'exitCode' | 'prependListener' | 'off' | 'listenerCount'>

/**
 * Runs `cleanup` before the process ends: on a signal, on `process.exit()`, whoever calls it, and on an exception that
 * nobody catches.
 *
 * Vitest answers a signal, and a rejection that nobody handles, with `process.exit()` and no teardown
 * (vitest-dev/vitest#4883 and jestjs/jest#6029 tell of the same gap), so the exit is held back until `cleanup` has
 * settled or 10 s are over.
 *
 * @returns a function after which the process ends as it did before
 */
export function cleanUpBeforeExit(target: EndingProcess, cleanup: () => Promise<unknown>): () => void {
  const exit = target.exit
  let leaving = false
  let signals = 0

  const leave = (end: () => void) => {
    if (!leaving) {
      leaving = true
      setTimeout(end, LIMIT_MS)
      void cleanup().then(end, end)
    }
  }
  const heldExit = (code?: number | string | null) => {
    const first = code ?? target.exitCode
    // A clean-up that failed may have set the exit code meanwhile.
    leave(() => exit.call(target, first || target.exitCode))
  }
  const onSignal = (signal: Signal) => {
    signals += 1
    target.exitCode = EXIT_CODES[signal]
    leave(() => exit.call(target, EXIT_CODES[signal]))
    if (signals === SIGNALS_UNTIL_NOW) {
      exit.call(target, EXIT_CODES[signal])
    }
  }
  const onException = (error: unknown) => {
    // Where somebody else listens, it is for them to say whether the process goes on.
    if (target.listenerCount('uncaughtException') === 1) {
      leave(() => {
        release()
        // Thrown again, so that Node itself reports it and ends.
        setImmediate(() => {
          throw error
        })
      })
    }
  }

  const listeners = [
    ...(Object.keys(EXIT_CODES) as Signal[]).map((signal) => [signal, () => onSignal(signal)] as const),
    ['uncaughtException', onException] as const,
  ]
  const release = () => {
    listeners.forEach(([event, listener]) => target.off(event, listener))
    if (target.exit === heldExit) {
      target.exit = exit
    }
  }
  listeners.forEach(([event, listener]) => target.prependListener(event as Signal, listener))
  target.exit = heldExit as NodeJS.Process['exit']
  return release
}
