import type { Session } from './session.ts'

/** The values of one round, by name. */
export type Samples = Readonly<Record<string, readonly number[]>>

/** A contender of the benchmark. */
export interface Contender {
  readonly name: string
  /** Work that is not measured; `cleanup` stops what it starts. It cleans up after itself if it fails. */
  prepare(session: Session): Promise<Prepared>
}

export interface Prepared {
  /** One round. */
  run(): Promise<Samples>
  cleanup?(): Promise<void>
}

/** The contender with which all others are compared. */
export interface Measure {
  readonly name: string
  readonly unit: 'ms' | 'MB'
  readonly against: string
  readonly as: 'ratio' | 'difference'
}

/** Contenders that alternate under the same conditions. */
export interface Condition {
  readonly name: string
  readonly measures: readonly Measure[]
  readonly contenders: readonly Contender[]
}

/** A question, asked under several conditions. */
export interface Scenario {
  readonly name: string
  conditions(extent: 'full' | 'quick'): readonly Condition[]
}
