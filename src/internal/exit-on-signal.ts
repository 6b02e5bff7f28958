const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
type Signal = keyof typeof EXIT_CODES

const LIMIT_MS = 10_000
/** The first asks for the end, the second is impatience; the third means it. */
const SIGNALS_UNTIL_NOW = 3

/** The part of `process` that is needed here. */
export type SignalledProcess = Pick<NodeJS.Process, 'exit' | 'exitCode' | 'prependListener' | 'off'>

/**
 * Runs `cleanup` before a signal ends the process.
 *
 * Vitest answers a signal with `process.exit()` a millisecond later, without any teardown (vitest-dev/vitest#4883 and
 * jestjs/jest#6029 tell of the same gap), so `process.exit` is held back until `cleanup` has settled or 10 s are over.
 *
 * @returns a function that takes the handlers away again
 */
export function cleanUpOnSignal(target: SignalledProcess, cleanup: () => Promise<unknown>): () => void {
  let received = 0
  const exit = target.exit
  const handlers = Object.entries(EXIT_CODES).map(([signal, code]) => {
    const handler = () => {
      received += 1
      if (received === 1) {
        target.exitCode = code
        // Vitest's exit is swallowed here; the one below is ours.
        target.exit = (() => undefined) as never
        const leave = () => exit.call(target, code)
        setTimeout(leave, LIMIT_MS)
        void cleanup().then(leave, leave)
      } else if (received === SIGNALS_UNTIL_NOW) {
        exit.call(target, code)
      }
    }
    target.prependListener(signal as Signal, handler)
    return { signal: signal as Signal, handler }
  })
  return () => {
    for (const { signal, handler } of handlers) {
      target.off(signal, handler)
    }
  }
}
