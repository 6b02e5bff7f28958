import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { containerOf } from '../e2e/support/containers.ts'
import { type EndedRun, startVitest, type VitestRun } from '../e2e/support/run-vitest.ts'
import { type Bystander, plantBystander } from './support/bystander.ts'
import { expectNothingLeft } from './support/left-of-run.ts'
import { createRandom } from './support/random.ts'

/** `npm run faults` sets both; in `npm test` a few kills show that it works. */
const SEED = Number(process.env['FAULTS_SEED'] ?? 1)
const COUNT = Number(process.env['FAULTS_COUNT'] ?? 4)

/** Their grace periods pass together. */
const BATCH = 10
/** The assumed duration of a run, half of it in a test, until one has been measured: a busy machine takes longer. */
let wholeMs = 3_500
const LINGER_MS = '1500'
const BATCH_LIMIT_MS = 600_000

const VICTIMS = ['main process', 'worker', 'postgres', 'redis'] as const
type Victim = (typeof VICTIMS)[number]

interface Kill {
  readonly victim: Victim
  /** When, as a part of a whole run. */
  readonly moment: number
}

/** The expected message of a run after the kill; undefined if the run was over or did not need the process. */
const DOCUMENTED = /Cannot (go on|start|load|prepare|lease|reach|build)|Worker|terminated|ECONN|Connection/

const consumer = inject('consumer')
const counts: Record<string, number> = {}
let survived = 0

let bystander: Bystander
beforeAll(async () => {
  bystander = await plantBystander()
})
afterAll(async () => {
  await bystander.remove()
})

const random = createRandom(SEED)
const kills = Array.from({ length: COUNT }, (): Kill => {
  const victim = VICTIMS[Math.floor(random() * VICTIMS.length)] as Victim
  return { victim, moment: random() }
})
const batches = Array.from({ length: Math.ceil(COUNT / BATCH) }, (_, index) =>
  kills.slice(index * BATCH, (index + 1) * BATCH),
)

test.for(batches.map((batch, index) => [index + 1, batch] as const))(
  'random kills leave nothing, batch %i',
  { timeout: BATCH_LIMIT_MS },
  async ([, batch]) => {
    const runs: VitestRun[] = []
    for (const kill of batch) {
      runs.push(await endAtRandom(kill))
    }
    await Promise.all(runs.map((run) => expectNothingLeft(run)))
    await bystander.assertUntouched()
    expect(runs).toHaveLength(batch.length)
    survived += batch.length
    // An interrupted batch prints its results so far.
    process.stdout.write(`faults: seed ${SEED}, ${survived} of ${COUNT} kills survived: ${JSON.stringify(counts)}\n`)
  },
)

async function endAtRandom(kill: Kill): Promise<VitestRun> {
  const run = await startVitest('faults', { consumer, env: { LINGER_MS } })
  const timer = new AbortController()
  await Promise.race([run.ended, sleep(kill.moment * wholeMs, undefined, { signal: timer.signal })])
  timer.abort()
  const isHit = await strike(run, kill.victim)
  const ended = await run.ended
  await run.forgetFiles()
  wholeMs = ended.exitCode === 0 ? ended.elapsedMs : wholeMs
  assertDocumented(ended, kill)
  const outcome = `${kill.victim}${isHit ? '' : ' (was not there)'}: ${ended.signal ?? ended.exitCode}`
  counts[outcome] = (counts[outcome] ?? 0) + 1
  return run
}

/** Returns whether there was anything to kill. */
async function strike(run: VitestRun, victim: Victim): Promise<boolean> {
  if (victim === 'main process') {
    run.signal('SIGKILL')
    return true
  }
  if (victim === 'worker') {
    const worker = await readFile(join(run.folder, 'worker'), 'utf8').catch(() => undefined)
    return worker !== undefined && killProcess(Number(worker))
  }
  const killed = containerOf(run.project, victim).then((container) => container.kill())
  return killed.then(
    () => true,
    () => false,
  )
}

function killProcess(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL')
  } catch {
    return false
  }
}

function assertDocumented({ exitCode, signal, stdout, stderr }: EndedRun, { victim, moment }: Kill): void {
  const isKilled = victim === 'main process' && signal === 'SIGKILL'
  const isTold = exitCode === 1 && DOCUMENTED.test(stdout + stderr)
  const outcome = isKilled || isTold || exitCode === 0 ? 'as documented' : `${signal ?? exitCode}`
  if (outcome !== 'as documented') {
    // At once: the report of a test waits for all the others.
    process.stdout.write(`faults: seed ${SEED}, ${victim} at ${moment}: ${outcome}\n${stdout}\n${stderr}\n`)
  }
  expect({ victim, moment, outcome }).toEqual({ victim, moment, outcome: 'as documented' })
}
