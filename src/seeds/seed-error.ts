import { InfraError } from '../errors.ts'

export interface SeedFailure {
  readonly file: string
  /** 1-based; left out when the file as a whole is at fault. */
  readonly line?: number
  /** Why it failed, to follow "Cannot load <file>:<line>: ". */
  readonly reason: string
  readonly detail?: string
  readonly remedy: string
  readonly service: 'postgres' | 'redis'
  readonly cause?: unknown
}

/** The error of a seed that cannot be loaded, with the place in its first line. */
export function createSeedError(failure: SeedFailure): InfraError {
  const { file, line, reason, ...rest } = failure
  const place = line === undefined ? file : `${file}:${line}`
  return new InfraError('INFRA_SEED_FAILED', { problem: `Cannot load ${place}: ${reason}`, ...rest })
}
