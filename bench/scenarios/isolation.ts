import { byHand } from '../contenders/isolation/by-hand.ts'
import { MEASURES } from '../contenders/isolation/isolation.ts'
import { migrations } from '../contenders/isolation/migrations.ts'
import { template, templateInMemory } from '../contenders/isolation/template.ts'
import { testcontainersSnapshot } from '../contenders/isolation/testcontainers-snapshot.ts'
import { truncate } from '../contenders/isolation/truncate.ts'
import { vitestInfra } from '../contenders/isolation/vitest-infra.ts'
import type { Measure, Scenario } from '../support/contender.ts'
import type { SchemaShape } from '../support/schema.ts'

const WAYS = [template, templateInMemory, truncate, migrations, testcontainersSnapshot]

/** Once more tables, once more migrations. */
const SHAPES: readonly SchemaShape[] = [
  { tables: 10, migrations: 1 },
  { tables: 100, migrations: 1 },
  { tables: 500, migrations: 1 },
  { tables: 10, migrations: 100 },
  { tables: 10, migrations: 1000 },
]

const measures = Object.values(MEASURES).map((name): Measure => ({
  name,
  unit: 'ms',
  against: template.name,
  as: 'ratio',
}))

/** What does a fresh migrated database cost each test? */
export const isolation: Scenario = {
  name: 'isolation',
  conditions: (extent) =>
    (extent === 'full' ? SHAPES : SHAPES.slice(0, 1)).map((shape) => ({
      name: `${shape.tables} tables, ${shape.migrations} ${shape.migrations === 1 ? 'migration' : 'migrations'}`,
      measures,
      contenders: [vitestInfra(shape), ...WAYS.map((way) => byHand(way, shape))],
    })),
}
