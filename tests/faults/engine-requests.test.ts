import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, inject, test } from 'vitest'
import type { InfraOptions } from '../../src/spec/infra-options.ts'
import { removeContainersOf } from '../e2e/support/containers.ts'
import { type ArmedFault, type Fault, FaultyEngine } from '../e2e/support/engine-faults.ts'
import { type EndedRun, VitestRun } from '../e2e/support/run-vitest.ts'
import { createRandom } from './support/random.ts'

/** `npm run faults` sets both, and tries every request; in `npm test` a few of each scenario show that it works. */
const SEED = Number(process.env['FAULTS_SEED'] ?? 1)
const REQUESTS = Number(process.env['FAULTS_REQUESTS'] ?? 2)

const FAULTS: readonly Fault[] = ['refuse', 'cut', 'delay']
/** Some are sent over and over, until their answer is the one that is hoped for. */
const COUNTED = 2
/** A run that waits for an engine takes no time of this machine; one that does not takes all of a core. */
const AT_ONCE = 4
const PROJECT = 'engine-faults'
const consumer = inject('consumer')
let folders = 0

interface Scenario {
  readonly options: InfraOptions
  /** Whether it is the second run that something is done to, on what the first has left up. */
  readonly isSecond?: boolean
}

interface Outcome {
  readonly run: EndedRun
  readonly engine: FaultyEngine
}

/** A run of the project behind a proxy of its own, in a folder of its own. */
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

/** What is wrong with how a run ended; undefined if nothing is. */
function faultOf({ exitCode, stdout, stderr }: EndedRun): string | undefined {
  const output = stdout + stderr
  const hasRun = /^ +Tests +.*\b(?:passed|failed)\b/m.test(stdout)
  if (output.includes('close timed out')) {
    return 'Vitest had to end it'
  }
  if (/TypeError|AggregateError/.test(output)) {
    return 'an error that says nothing'
  }
  if (exitCode === 0) {
    return hasRun && /healthy after/.test(stderr) ? undefined : 'green without its tests, or without its last lines'
  }
  if (exitCode !== 1) {
    return `exit code ${exitCode}`
  }
  return hasRun || /InfraError: Cannot /.test(stderr) ? undefined : 'red without saying why'
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
  'whatever happens to a request of %s, it runs its tests or says why',
  { timeout: 3_600_000 },
  async (name) => {
    const scenario = SCENARIOS[name] as Scenario
    const { run, engine } = await runOnce(scenario)
    expect(faultOf(run)).toBeUndefined()
    const random = createRandom(SEED)
    const cases = engine.requests
      .filter(({ count }) => count <= COUNTED)
      .flatMap((request) => FAULTS.map((fault) => ({ ...request, fault, rank: random() })))
      .toSorted((left, right) => left.rank - right.rank)
      .slice(0, REQUESTS)
    const wrong: string[] = []
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let next = cases.shift(); next; next = cases.shift()) {
          const outcome = await runOnce(scenario, next)
          const fault = faultOf(outcome.run)
          if (fault !== undefined) {
            wrong.push(
              `${next.fault} ${next.name} ${next.count}: ${fault}\n${outcome.run.stdout}\n${outcome.run.stderr}`,
            )
          }
        }
      }),
    )
    expect(wrong.join('\n\n')).toBe('')
  },
)
