import type { Session } from './session.ts'

/** The values of one round, by what was measured. */
export type Samples = Readonly<Record<string, readonly number[]>>

/** Somebody who is measured. */
export interface Contender {
  readonly name: string
  /** Does what is not measured; what it starts is stopped by `cleanup`, or by itself if it fails. */
  prepare(session: Session): Promise<Prepared>
}

export interface Prepared {
  /** One round. */
  run(): Promise<Samples>
  cleanup?(): Promise<void>
}

/** Something that is measured, and whom everybody is held against. */
export interface Measure {
  readonly name: string
  readonly unit: 'ms' | 'MB'
  readonly against: string
  readonly as: 'ratio' | 'difference'
}

/** Contenders who run in turns, under the same circumstances. */
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
