import { plain } from '../contenders/start/plain.ts'
import { compose } from '../contenders/start/compose.ts'
import { parallel } from '../contenders/start/testcontainers.ts'
import { startContender } from '../contenders/start/variant.ts'
import { cold } from '../contenders/start/vitest-infra.ts'
import { suiteContender } from '../contenders/suite/orders.ts'
import type { Condition, Measure, Scenario } from '../support/contender.ts'
import { MEASURES, watchMemory } from '../support/sample-memory.ts'

const SCHEMA = { tables: 20, migrations: 100 }
const SUITE = { tests: 100, workers: 2 }

const [fresh, shared] = [suiteContender('fresh', SUITE), suiteContender('shared', SUITE)]

const oneTest: Condition = {
  name: '1 test, 100 migrations',
  measures: measuresAgainst(plain.name, parallel.name),
  contenders: [plain, cold, parallel, compose].map((variant) => watchMemory(startContender(variant, SCHEMA))),
}

const suite: Condition = {
  name: '100 tests, 2 workers',
  measures: measuresAgainst(shared.name, shared.name),
  contenders: [fresh, shared].map(watchMemory),
}

/** How much memory does it take? */
export const memory: Scenario = {
  name: 'memory',
  conditions: (extent) => (extent === 'full' ? [oneTest, suite] : [oneTest]),
}

function measuresAgainst(main: string, containers: string): Measure[] {
  return [
    { name: MEASURES.main, unit: 'MB', against: main, as: 'difference' },
    { name: MEASURES.containers, unit: 'MB', against: containers, as: 'ratio' },
  ]
}
