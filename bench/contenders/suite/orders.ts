import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Contender } from '../../support/contender.ts'
import { createProject } from '../../support/create-project.ts'
import { runProject } from '../../support/run-project.ts'

export const MEASURES = {
  tests: 'all tests',
  run: 'the whole run',
} as const

export interface SuiteSize {
  readonly tests: number
  readonly workers: number
}

/** At least one for each of the most workers that are tried. */
const FILES = 8

/**
 * `fresh`: each test a clone. `reset`: the database of the file, emptied after each test, and new sessions for each.
 * `shared`: all tests on one, in which everything stays.
 */
export type DatabasePerTest = 'fresh' | 'reset' | 'shared'

const NAMES = {
  fresh: 'vitest-infra, a fresh database per test',
  reset: 'the database of the file, TRUNCATE and a new pool per test',
  shared: 'one shared dirty database',
} as const

/** The suite of the project `orders`, made as long as it should be. */
export function suiteContender(way: DatabasePerTest, { tests, workers }: SuiteSize): Contender {
  return {
    name: NAMES[way],
    async prepare(session) {
      const folder = await createProject(session, 'orders')
      await writeTests(folder, tests)
      const env = { BENCH: way, BENCH_WORKERS: String(workers) }
      return {
        async run() {
          const { output, beganMs, endedMs } = await runProject(session, folder, { env })
          const spanMs = Number(/^span ([\d.]+)$/m.exec(output)?.[1])
          return { [MEASURES.tests]: [spanMs], [MEASURES.run]: [endedMs - beganMs] }
        },
      }
    },
  }
}

/** Spread evenly over the files. */
async function writeTests(folder: string, tests: number): Promise<void> {
  await mkdir(join(folder, 'test'))
  const files = Math.min(FILES, tests)
  for (let file = 0; file < files; file += 1) {
    const count = Math.floor((tests * (file + 1)) / files) - Math.floor((tests * file) / files)
    const source = `import { testsOfOrders } from '../src/tests-of-orders.ts'\ntestsOfOrders('${file}', ${count})\n`
    await writeFile(join(folder, `test/orders-${file}.test.ts`), source)
  }
}
