import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, inject, test } from 'vitest'
import type { InfraOptions } from '../../src/config/infra-options.ts'
import { removeContainersOf } from '../e2e/support/containers.ts'
import { type ArmedFault, FaultyEngine } from '../e2e/support/engine-faults.ts'
import { type EndedRun, VitestRun } from '../e2e/support/run-vitest.ts'
import { mistakeOf, tryRequests } from './support/request-table.ts'

const PROJECT = 'engine-faults'
const consumer = inject('consumer')
let folders = 0

interface Scenario {
  readonly options: InfraOptions
  /** Whether the fault hits a second run, which reuses the servers of the first. */
  readonly isSecond?: boolean
}

interface Outcome {
  readonly run: EndedRun
  readonly engine: FaultyEngine
}

/** A run of the project with its own proxy and folder. */
async function runOnce({ options, isSecond = false }: Scenario, fault?: ArmedFault): Promise<Outcome> {
  const engine = await FaultyEngine.open()
  const folder = join(consumer.folder, `${PROJECT}-${(folders += 1)}`)
  await cp(join(consumer.folder, PROJECT), folder, { recursive: true })
  await mkdir(join(folder, 'tmp'))
  const env = { DOCKER_HOST: engine.host, OPTIONS: JSON.stringify(options) }
  const start = () => new VitestRun(folder, { consumer, env }, [])
  const runs: VitestRun[] = []
  const runToEnd = async () => {
    const run = start()
    runs.push(run)
    return run.ended
  }
  try {
    if (isSecond) {
      await runToEnd()
    }
    engine.arm(fault)
    return { engine, run: await runToEnd() }
  } finally {
    await Promise.all(runs.map((run) => run.kill()))
    await engine.close()
    await removeContainersOf(folder.split('/').at(-1) ?? '').catch(() => {})
    await rm(folder, { recursive: true, force: true })
  }
}

const keepAlive = '2m'
const snapshot = false
const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'a run with redis': { options: { services: ['redis'], snapshot } },
  'a run with both': { options: { snapshot } },
  'a second run with redis': { options: { services: ['redis'], snapshot, keepAlive }, isSecond: true },
  'a second run with both': { options: { snapshot, keepAlive }, isSecond: true },
  'a run with postgres that takes a snapshot': { options: { services: ['postgres'] } },
}

test.for(Object.keys(SCENARIOS))(
  'after any failure of an engine request, %s runs its tests or says why',
  { timeout: 3_600_000 },
  async (name) => {
    const scenario = SCENARIOS[name] as Scenario
    const { run, engine } = await runOnce(scenario)
    expect(mistakeOf(run)).toBeUndefined()
    expect(await tryRequests(engine.requests, async (fault) => (await runOnce(scenario, fault)).run)).toBe('')
  },
)
