// node lab/cli.ts exec -- node bench/isolation.ts [rounds]
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '../src/internal/clock.ts'
import { resolveSpec } from '../src/config/resolve-spec.ts'
import { startInfra } from '../src/stack/start-infra.ts'
import type { Waits } from './isolation-worker.ts'
import { createConsumer, runVitest } from './support/consumer.ts'
import { describeMachine } from './support/machine.ts'
import { median, round, summarize } from './support/statistics.ts'

const WORKERS = 2
const TESTS = 500
const FILES = 10
const LEASES = 150
/** The life of a short test file. */
const HELD_MS = 100
const REPOSITORY = join(import.meta.dirname, '..')

const rounds = Number(process.argv[2] ?? 5)
const machine = describeMachine()
console.log(machine)
const waits = await measureWaits()
console.log(`waiting for a lease, warm pool, ${WORKERS} workers (ms):`, waits.lease)
console.log('lease and first query (ms):', waits.leaseAndQuery)
const ratios = await measureRatio()
console.log(
  `${TESTS} tests, fresh databases over one shared database: ${ratios.ratio} (ratio of medians ${ratios.ratioOfMedians}, whole runs ${ratios.ratioOfWholeRuns})`,
)
await mkdir(join(import.meta.dirname, 'results'), { recursive: true })
const result = { at: new Date().toISOString(), machine, waits, ...ratios }
await writeFile(join(import.meta.dirname, 'results/isolation.json'), `${JSON.stringify(result, null, 2)}\n`)

/** Two processes lease at once, from a pool that had time to fill. */
async function measureWaits() {
  const spec = resolveSpec(
    { services: ['postgres'] },
    { root: REPOSITORY, source: 'bench', environment: { process: {} } },
  )
  const context = {
    environment: process.env,
    workers: WORKERS,
    variables: () => ({}),
    report: () => {},
    clock: systemClock,
  }
  const infra = startInfra(spec, context)
  try {
    const { socket } = await infra.up
    await sleep(500)
    const all = await Promise.all(Array.from({ length: WORKERS }, () => runWorker(socket)))
    return {
      lease: summarize(all.flatMap(({ leaseMs }) => leaseMs)),
      leaseAndQuery: summarize(all.flatMap(({ queryMs }) => queryMs)),
    }
  } finally {
    await infra.stop()
  }
}

async function runWorker(socket: string): Promise<Waits> {
  const child = fork(join(import.meta.dirname, 'isolation-worker.ts'), [socket, String(LEASES), String(HELD_MS)])
  const [waits] = (await once(child, 'message')) as [Waits]
  return waits
}

/** The same tests in both ways, alternating, so that other load on the machine affects both. */
async function measureRatio() {
  const folder = await createConsumer('orders')
  await mkdir(join(folder, 'test'), { recursive: true })
  for (let file = 0; file < FILES; file += 1) {
    const source = `import { testsOfOrders } from '../src/tests-of-orders.ts'\ntestsOfOrders('${file}', ${TESTS / FILES})\n`
    await writeFile(join(folder, `test/orders-${file}.test.ts`), source)
  }
  const spans = { shared: [] as number[], fresh: [] as number[] }
  const runs = { shared: [] as number[], fresh: [] as number[] }
  for (let index = 0; index < rounds; index += 1) {
    for (const way of index % 2 === 0 ? (['shared', 'fresh'] as const) : (['fresh', 'shared'] as const)) {
      const { output, elapsedMs } = await runVitest(folder, [], { BENCH: way, BENCH_WORKERS: String(WORKERS) })
      const spanMs = Number(/^span ([\d.]+)$/m.exec(output)?.[1])
      spans[way].push(spanMs)
      runs[way].push(elapsedMs)
      const leases = /\d+ leases?, waited .*/.exec(output)?.[0] ?? ''
      console.log(`round ${index + 1}, ${way}: ${round(spanMs)} ms of tests, ${round(elapsedMs)} ms in all. ${leases}`)
    }
  }
  return {
    tests: TESTS,
    files: FILES,
    workers: WORKERS,
    testsMs: spans,
    wholeRunMs: runs,
    ratio: round(medianRatio(spans)),
    ratioOfMedians: round(median(spans.fresh) / median(spans.shared)),
    ratioOfWholeRuns: round(medianRatio(runs)),
  }
}

/** Of the two runs of a round, which the machine has treated most alike. */
function medianRatio({ fresh, shared }: Record<'fresh' | 'shared', readonly number[]>): number {
  return median(fresh.map((value, index) => value / (shared[index] ?? Number.NaN)))
}
