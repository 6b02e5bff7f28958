import { MEASURES, suiteContender, type SuiteSize } from '../contenders/suite/orders.ts'
import type { Measure, Scenario } from '../support/contender.ts'

/** Once more tests, once more workers. */
const SIZES: readonly SuiteSize[] = [
  { tests: 1, workers: 2 },
  { tests: 10, workers: 2 },
  { tests: 100, workers: 2 },
  { tests: 1000, workers: 2 },
  { tests: 100, workers: 1 },
  { tests: 100, workers: 4 },
  { tests: 100, workers: 8 },
]
const QUICK: readonly SuiteSize[] = [{ tests: 100, workers: 2 }]

const against = suiteContender('shared', { tests: 1, workers: 1 }).name
const measures = Object.values(MEASURES).map((name): Measure => ({ name, unit: 'ms', against, as: 'ratio' }))

/** What does isolation cost a whole suite, as it grows? */
export const growth: Scenario = {
  name: 'growth',
  conditions: (extent) =>
    (extent === 'full' ? SIZES : QUICK).map((size) => ({
      name: describe(size),
      measures,
      contenders: (['fresh', 'reset', 'shared'] as const).map((way) => suiteContender(way, size)),
    })),
}

function describe({ tests, workers }: SuiteSize): string {
  return `${tests} ${tests === 1 ? 'test' : 'tests'}, ${workers} ${workers === 1 ? 'worker' : 'workers'}`
}
