import { inspect } from 'node:util'

const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const
type Signal = keyof typeof EXIT_CODES

const LIMIT_MS = 10_000
/** The first asks for the end, the second is impatience; the third means it. */
const SIGNALS_UNTIL_NOW = 3

/** Marks listeners of this module, of whatever copy of it: two runs in one process have one each. */
const OWN = Symbol.for('vitest-infra/uncaught-exception')

/** The part of `process` that is needed here. */
export type EndingProcess = Pick<
  NodeJS.Process,
  'exit' | 'exitCode' | 'prependListener' | 'off' | 'listeners' | 'version'
> & { readonly stderr: { readonly isTTY?: boolean; write(text: string, done: () => void): unknown } }

/** @param endsWell whether nothing says yet that something went wrong */
type Cleanup = (endsWell: boolean) => Promise<unknown>

/**
 * Runs `cleanup` before the process ends: on a signal, on a call to exit from any code, and on an uncaught exception.
 *
 * Vitest answers a signal, and a rejection that nobody handles, with `process.exit()` and no teardown
 * (vitest-dev/vitest#4883 and jestjs/jest#6029 tell of the same gap), so the exit is held back until `cleanup` has
 * settled or 10 s are over.
 *
 * @returns a function after which the process ends as it did before
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
  #leaving = false
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
    // Where there was no code, a clean-up that failed has set one.
    this.#leave(() => this.#exit.call(this.#target, code || this.#target.exitCode), !code)
  }

  #onSignal(signal: Signal): void {
    const code = EXIT_CODES[signal]
    const exit = () => this.#exit.call(this.#target, code)
    this.#signals += 1
    this.#target.exitCode = code
    this.#leave(exit)
    if (this.#signals === SIGNALS_UNTIL_NOW) {
      exit()
    }
  }

  #onException(thrown: unknown): void {
    // The first exception ends the process. Printing it to a closed pipe throws EPIPE, which must not be printed again.
    if (this.#hasThrown) {
      return
    }
    const listeners = this.#target.listeners('uncaughtException')
    // If the user's code listens too, it decides whether the process continues.
    if (listeners.every((listener) => OWN in listener)) {
      this.#hasThrown = true
      const isFirst = this.#listeners.some(([, listener]) => listener === listeners[0])
      const printed = isFirst ? this.#print(thrown) : Promise.resolve()
      this.#leave(() => void printed.then(() => this.#exit.call(this.#target, 1)))
    }
  }

  /**
   * As Node prints it. To throw it again would have Node show the line of this file that throws, as if the fault were
   * here.
   */
  #print(thrown: unknown): Promise<void> {
    const { stderr, version } = this.#target
    const text = inspect(thrown, { colors: stderr.isTTY ?? false })
    const shown = thrown instanceof Error ? text : `Uncaught ${text}`
    return new Promise((resolve) => {
      stderr.write(`\n${shown}\n\nNode.js ${version}\n`, resolve)
    })
  }

  #leave(end: () => void, endsWell = false): void {
    if (!this.#leaving) {
      this.#leaving = true
      setTimeout(end, LIMIT_MS)
      void this.#cleanup(endsWell).then(end, end)
    }
  }
}
