import { inspect } from 'node:util'

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
type Signal = keyof typeof EXIT_CODES

const CLEANUP_TIMEOUT_MS = 10_000
/** The process exits immediately on the third signal, not on the second, because many users press Ctrl-C twice. */
const SIGNALS_UNTIL_EXIT = 3

/** Marks the listeners that any copy of this module adds. Two runs in one process add one listener each. */
const OWN = Symbol.for('vitest-infra/uncaught-exception')

/** The part of `process` that this module uses. */
export type EndingProcess = Pick<
  NodeJS.Process,
  'exit' | 'exitCode' | 'prependListener' | 'off' | 'listeners' | 'version'
> & { readonly stderr: { readonly isTTY?: boolean; write(text: string, done: () => void): unknown } }

/**
 * Cleans up before the process exits.
 *
 * @param endsWell false if the exit code already reports a failure
 */
type Cleanup = (endsWell: boolean) => Promise<unknown>

/**
 * Runs `cleanup` before the process exits: on a signal, on a call of `process.exit()`, and on an uncaught exception.
 *
 * On a signal or an unhandled rejection, Vitest calls `process.exit()` without teardown (see vitest-dev/vitest#4883 and
 * jestjs/jest#6029). This function therefore delays the exit until `cleanup` has settled, for at most 10 s.
 *
 * @returns a function that removes the listeners and restores `process.exit()`
 */
export function cleanUpBeforeExit(target: EndingProcess, cleanup: Cleanup): () => void {
  const held = new HeldExit(target, cleanup)
  return () => held.release()
}

class HeldExit {
  readonly #target: EndingProcess
  readonly #cleanup: Cleanup
  readonly #exit: NodeJS.Process['exit']
  readonly #listeners = [
    ...(Object.keys(EXIT_CODES) as Signal[]).map((signal) => [signal, () => this.#onSignal(signal)] as const),
    ['uncaughtException', Object.assign((thrown: unknown) => this.#onException(thrown), { [OWN]: true })] as const,
  ]
  #exiting = false
  #signals = 0
  #hasThrown = false

  constructor(target: EndingProcess, cleanup: Cleanup) {
    this.#target = target
    this.#cleanup = cleanup
    this.#exit = target.exit
    target.exit = this.#onExit as NodeJS.Process['exit']
    this.#listeners.forEach(([event, listener]) => target.prependListener(event as Signal, listener))
  }

  release(): void {
    this.#listeners.forEach(([event, listener]) => this.#target.off(event, listener))
    if (this.#target.exit === this.#onExit) {
      this.#target.exit = this.#exit
    }
  }

  readonly #onExit = (code: number | string | null | undefined = this.#target.exitCode): void => {
    // If `code` is 0 or missing, a failed cleanup may have set `exitCode`.
    this.#exitAfterCleanup(() => this.#exit.call(this.#target, code || this.#target.exitCode), !code)
  }

  #onSignal(signal: Signal): void {
    const code = EXIT_CODES[signal]
    const exit = () => this.#exit.call(this.#target, code)
    this.#signals += 1
    this.#target.exitCode = code
    this.#exitAfterCleanup(exit)
    if (this.#signals === SIGNALS_UNTIL_EXIT) {
      exit()
    }
  }

  #onException(thrown: unknown): void {
    // Only the first exception is handled. Printing it to a closed pipe raises EPIPE, which must not be printed again.
    if (this.#hasThrown) {
      return
    }
    const listeners = this.#target.listeners('uncaughtException')
    // If the user's code has a listener, that listener decides whether the process continues.
    if (listeners.every((listener) => OWN in listener)) {
      this.#hasThrown = true
      const isFirst = this.#listeners.some(([, listener]) => listener === listeners[0])
      const printed = isFirst ? this.#print(thrown) : Promise.resolve()
      this.#exitAfterCleanup(() => void printed.then(() => this.#exit.call(this.#target, 1)))
    }
  }

  /** Prints the exception as Node does. Rethrowing it would make Node print the source line in this file. */
  #print(thrown: unknown): Promise<void> {
    const { stderr, version } = this.#target
    const text = inspect(thrown, { colors: stderr.isTTY ?? false })
    const shown = thrown instanceof Error ? text : `Uncaught ${text}`
    return new Promise((resolve) => {
      stderr.write(`\n${shown}\n\nNode.js ${version}\n`, resolve)
    })
  }

  #exitAfterCleanup(end: () => void, endsWell = false): void {
    if (!this.#exiting) {
      this.#exiting = true
      setTimeout(end, CLEANUP_TIMEOUT_MS)
      void this.#cleanup(endsWell).then(end, end)
    }
  }
}
