import type { Condition, Measure } from './contender.ts'
import type { Outcome } from './rounds.ts'
import { median, percentile } from './statistics.ts'

/** One line of the table. */
export interface Row {
  readonly scenario: string
  readonly condition: string
  readonly measure: string
  readonly unit: Measure['unit']
  readonly contender: string
  readonly median: number
  readonly p95: number
  /** The median of the comparison within each round; undefined for the baseline. */
  readonly compared?: { readonly to: string; readonly as: Measure['as']; readonly value: number }
}

/** The lines of a condition, by measure. */
export function summarizeRounds(scenario: string, condition: Condition, outcomes: readonly Outcome[]): Row[] {
  return condition.measures.flatMap((measure) => {
    const base = outcomes.find(({ contender }) => contender === measure.against)
    return outcomes.flatMap((outcome) => {
      const values = outcome.rounds.flatMap((samples) => samples[measure.name] ?? [])
      if (values.length === 0) {
        return []
      }
      const row = { scenario, condition: condition.name, measure: measure.name, unit: measure.unit }
      const figures = { contender: outcome.contender, median: median(values), p95: percentile(values, 0.95) }
      const compared = base && base !== outcome ? compare(measure, outcome, base) : undefined
      return [{ ...row, ...figures, ...(compared && { compared }) }]
    })
  })
}

function compare({ name, against, as }: Measure, outcome: Outcome, base: Outcome): Row['compared'] {
  const differences = outcome.rounds.flatMap((samples, index) => {
    const [own, others] = [samples[name], base.rounds[index]?.[name]]
    if (!own?.length || !others?.length) {
      return []
    }
    return as === 'ratio' ? median(own) / median(others) : median(own) - median(others)
  })
  return differences.length > 0 ? { to: against, as, value: median(differences) } : undefined
}
