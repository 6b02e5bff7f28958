/** A failure that a person can act on: what happened and why, then what to do. */
export class LabError extends Error {
  readonly remedy: string
  readonly exitCode: number

  constructor(message: string, remedy: string, options: ErrorOptions & { readonly exitCode?: number } = {}) {
    super(message, options)
    this.name = 'LabError'
    this.remedy = remedy
    this.exitCode = options.exitCode ?? 1
  }
}

/** Prints progress. To stderr, as a shell evaluates stdout. */
export interface Report {
  line(text: string): void
  /** Announces and runs a step, and prints its duration if that was long. */
  step<T>(text: string, work: () => Promise<T>): Promise<T>
}

const WORTH_TIMING_MS = 1_000

export function createReport(write: (text: string) => void): Report {
  const line = (text: string): void => write(`lab: ${text}\n`)
  return {
    line,
    async step(text, work) {
      line(`${text} …`)
      const startedAt = performance.now()
      const result = await work()
      const tookMs = performance.now() - startedAt
      if (tookMs >= WORTH_TIMING_MS) line(`${text}: done in ${(tookMs / 1000).toFixed(1)} s`)
      return result
    },
  }
}

export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  return error.message || code || error.name
}
