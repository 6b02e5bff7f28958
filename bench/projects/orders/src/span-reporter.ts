import type { Reporter } from 'vitest/node'

/** Prints the time from the start of the first test file to the end of the last. */
export default class SpanReporter implements Reporter {
  #beganMs: number | undefined

  onTestModuleQueued(): void {
    this.#beganMs ??= performance.now()
  }

  onTestRunEnd(): void {
    process.stdout.write(`span ${performance.now() - (this.#beganMs ?? Number.NaN)}\n`)
  }
}
