import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { ask, Project } from '../support/snapshot-runs.ts'
import type { LeasingNews } from './support/leasing-worker.ts'
import { createRandom } from './support/random.ts'

/** `npm run faults -- --leases N` asks for more. */
const SEED = Number(process.env['FAULTS_SEED'] ?? 1)
const LEASES = Number(process.env['FAULTS_LEASES'] ?? 100)
const WORKERS = 4

const WORKER = join(import.meta.dirname, 'support/leasing-worker.ts')
const PATIENCE = { timeout: 60_000, interval: 200 }
/** Some to spare for a busy machine. */
const LIMIT_MS = 240_000 + 400 * LEASES

interface Tally {
  leases: number
  crashes: number
  readonly databases: Set<string>
  readonly findings: string[]
}

test('leases equal new ones, whatever earlier users did and however they ended', { timeout: LIMIT_MS }, async () => {
  const project = await Project.create({
    'marks.sql': "CREATE TABLE marks (who text); INSERT INTO marks VALUES ('template')",
  })
  const { socket, facts } = await project.start({
    services: ['postgres', 'redis'],
    snapshot: false,
    postgres: { migrations: 'marks.sql' },
  })
  const tally: Tally = { leases: 0, crashes: 0, databases: new Set(), findings: [] }
  const random = createRandom(SEED)
  const share = Math.ceil(LEASES / WORKERS)
  await Promise.all(Array.from({ length: WORKERS }, () => leaseAll(share, { socket, random, tally })))
  process.stdout.write(
    `leases: seed ${SEED}, ${tally.leases} leases by ${WORKERS} workers, ${tally.databases.size} databases, ` +
      `${tally.crashes} workers killed with a lease, ${tally.findings.length} findings\n`,
  )
  expect(tally.findings).toEqual([])
  expect(tally.leases).toBe(share * WORKERS)
  // Unleased databases are dropped, except for those ready for the next lease.
  const left = () =>
    ask(facts.postgres, String.raw`SELECT datname FROM pg_database WHERE datname ~ '^vitest_infra_[0-9a-f]{8}_'`)
  await expect.poll(async () => (await left()).length, PATIENCE).toBeLessThanOrEqual(16)
})

interface Leasing {
  readonly socket: string
  readonly random: () => number
  readonly tally: Tally
}

/** Has workers lease, one after the other, each for as long as it lives. */
async function leaseAll(count: number, leasing: Leasing): Promise<void> {
  let left = count
  while (left > 0) {
    left -= await leaseWithOne(left, leasing)
  }
}

/** Resolves to how many leases the worker had; all of them, where it ended in a way that it should not. */
async function leaseWithOne(count: number, { socket, random, tally }: Leasing): Promise<number> {
  const seed = String(Math.floor(random() * 1_000_000))
  const worker = fork(WORKER, [socket, seed, String(count)], { stdio: ['ignore', 'inherit', 'pipe', 'ipc'] })
  onTestFinished(() => void worker.kill('SIGKILL'))
  let leases = 0
  let errors = ''
  worker.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  worker.on('message', (news: LeasingNews) => {
    if (news.type === 'leased') {
      leases += 1
      tally.databases.add(news.database)
    } else if (news.type === 'finding') {
      tally.findings.push(news.text)
    }
  })
  const [code, signal] = (await once(worker, 'exit')) as [number | null, NodeJS.Signals | null]
  // Its last message may still be in transit.
  await sleep(20)
  tally.leases += leases
  if (signal === 'SIGKILL') {
    tally.crashes += 1
    return leases
  }
  if (code !== 0) {
    tally.findings.push(`a worker ended with ${code ?? signal}: ${errors}`)
  }
  return count
}
