import { InfraError } from '../errors.ts'

export interface SeedFailure {
  readonly file: string
  /** Line of the error, counted from 1; undefined if the error concerns the whole file. */
  readonly line?: number
  /** The reason, as the text after "Cannot load <file>:<line>: ". */
  readonly reason: string
  readonly detail?: string
  readonly remedy: string
  readonly service: 'postgres' | 'redis'
  readonly cause?: unknown
}

/** Creates the error for a seed that cannot be loaded. Its first line contains the location. */
export function createSeedError(failure: SeedFailure): InfraError {
  const { file, line, reason, ...rest } = failure
  const place = line === undefined ? file : `${file}:${line}`
  return new InfraError('INFRA_SEED_FAILED', { problem: `Cannot load ${place}: ${reason}`, ...rest })
}
