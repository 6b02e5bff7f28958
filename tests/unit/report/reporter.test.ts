import { Writable } from 'node:stream'
import { afterEach, expect, test, vi } from 'vitest'
import type { InfraEvent } from '../../../src/report/events.ts'
import { createReporter, renderEvent } from '../../../src/report/reporter.ts'

const CYAN_INFRA = '\x1b[36minfra\x1b[39m'
const SELECTED = { type: 'provider-selected', description: 'Docker 28.5.1 at /var/run/docker.sock' } as const

afterEach(() => {
  vi.unstubAllEnvs()
})

function progress(layersDone: number): InfraEvent & { type: 'pull-progress' } {
  const [bytesDone, bytesTotal] = [layersDone * 10 * 1024 * 1024, 90.55 * 1024 * 1024]
  return { type: 'pull-progress', image: 'postgres:18-alpine', layersDone, layersTotal: 9, bytesDone, bytesTotal }
}

/** A writable stream like standard error that records its output. */
class Output extends Writable {
  readonly isTTY: boolean
  text = ''

  constructor({ isTTY }: { readonly isTTY: boolean }) {
    super()
    this.isTTY = isTTY
    vi.stubEnv('NO_COLOR', undefined)
    vi.stubEnv('FORCE_COLOR', undefined)
    vi.stubEnv('NODE_DISABLE_COLORS', undefined)
  }

  getColorDepth(): number {
    return process.env.NO_COLOR === undefined ? 8 : 1
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
}

type Line<Type> = readonly [Extract<InfraEvent, { type: Type }>, string]

/** Every type of event: the compiler asks for those that are missing. */
const LINES: { readonly [Type in InfraEvent['type']]: readonly Line<Type>[] } = {
  'provider-selected': [[SELECTED, 'Docker 28.5.1 at /var/run/docker.sock']],
  'pull-progress': [[progress(3), 'pulling postgres:18-alpine: 3 of 9 layers, 30.0 of 90.5 MB']],
  'pull-finished': [
    [{ type: 'pull-finished', image: 'redis:8-alpine', elapsedMs: 12_345 }, 'pulled redis:8-alpine in 12.35 s'],
  ],
  'service-healthy': [
    [
      {
        type: 'service-healthy',
        service: 'postgres',
        version: '18.6',
        host: 'localhost',
        port: 49_153,
        elapsedMs: 1_204,
        origin: 'new',
      },
      'postgres 18.6 healthy after 1.20 s',
    ],
    [
      {
        type: 'service-healthy',
        service: 'postgres',
        version: '18.6',
        host: 'localhost',
        port: 49_153,
        elapsedMs: 402,
        origin: 'snapshot',
      },
      'postgres 18.6 healthy after 0.40 s, from a snapshot',
    ],
  ],
  'snapshot-taken': [
    [
      { type: 'snapshot-taken', service: 'postgres', elapsedMs: 470 },
      'snapshot of postgres taken in 0.47 s, for the next run',
    ],
  ],
  'snapshot-failed': [
    [
      { type: 'snapshot-failed', service: 'postgres', reason: 'its data is larger than 512 MB' },
      'no snapshot of postgres was taken: its data is larger than 512 MB',
    ],
  ],
  'snapshot-discarded': [
    [
      { type: 'snapshot-discarded', service: 'postgres', reason: 'its server ended' },
      'snapshot of postgres discarded, starting without it: its server ended',
    ],
  ],
  'service-replaced': [
    [
      { type: 'service-replaced', service: 'redis', reason: 'its settings or its users were changed' },
      'redis of an earlier run was replaced: its settings or its users were changed',
    ],
  ],
  'seeds-loaded': [
    [{ type: 'seeds-loaded', service: 'redis', files: 1, elapsedMs: 4 }, 'redis seeded from 1 file in 0.00 s'],
    [{ type: 'seeds-loaded', service: 'redis', files: 5, elapsedMs: 150 }, 'redis seeded from 5 files in 0.15 s'],
  ],
  'template-ready': [
    [
      { type: 'template-ready', template: 'default', isNew: true, elapsedMs: 812 },
      'template "default" built in 0.81 s',
    ],
    [{ type: 'template-ready', template: 'orders', isNew: false, elapsedMs: 9 }, 'template "orders" found in 0.01 s'],
  ],
  'ended-early': [
    [
      { type: 'ended-early', awaited: 'the start of redis' },
      'this process exits while vitest-infra waits for the start of redis: the run is incomplete, so it fails with exit code 1',
    ],
  ],
  'servers-left-running': [
    [
      { type: 'servers-left-running', idleTimeoutMs: 1_800_000 },
      'the servers keep running for the next run, and stop after 30m without use; to stop them now: npx vitest-infra down',
    ],
    [
      { type: 'servers-left-running', idleTimeoutMs: 5_400_000 },
      'the servers keep running for the next run, and stop after 90m without use; to stop them now: npx vitest-infra down',
    ],
  ],
  'leases-summary': [
    [
      { type: 'leases-summary', count: 120, medianMs: 1.04, p95Ms: 14.96 },
      '120 leases, waited 1.0 ms (median), 15.0 ms (95th percentile)',
    ],
    [{ type: 'leases-summary', count: 1, medianMs: 3, p95Ms: 3 }, '1 lease, waited 3.0 ms'],
  ],
  'lease-waiting': [
    [
      {
        type: 'lease-waiting',
        service: 'postgres',
        owner: 'a.test.ts > one',
        count: 48,
        reason: 'max_connections is 500, and a lease is reckoned with 10',
      },
      'a.test.ts > one waits for postgres: all 48 that can be leased at once are in use (max_connections is 500, and a lease is reckoned with 10)',
    ],
  ],
  'lease-unused': [
    [
      { type: 'lease-unused', service: 'postgres', owners: ['a', 'b', 'c', 'd'], common: ['app', 'shop'] },
      '4 files (a, b, c and 1 more) never connected to the leased database, but "app", "shop", which all files share, was used: is a name hard-coded, or missing in a URL? Let the code read DATABASE_URL or DB_NAME, or set postgres.isolation to \'server\'; see "Connections that leave the lease" in the README',
    ],
    [
      { type: 'lease-unused', service: 'redis', owners: ['a'], common: ['main'] },
      '1 file (a) never connected to the leased Redis, but the main one, which all files share, was used: is its address hard-coded? Let the code read REDIS_URL; see "Connections that leave the lease" in the README',
    ],
  ],
  'service-unused': [
    [
      { type: 'service-unused', service: 'redis', others: ['postgres'], isListed: true, changed: [] },
      "redis: no client connected; if no test needs it, remove it with services: ['postgres']",
    ],
    [
      { type: 'service-unused', service: 'postgres', others: [], isListed: true, changed: [] },
      'postgres: no client connected; if no test needs it, remove it with services: []',
    ],
    [
      { type: 'service-unused', service: 'redis', others: ['postgres'], isListed: false, changed: [] },
      'redis: no client connected; if no test needs it, remove it with services: { redis: false }',
    ],
    [
      {
        type: 'service-unused',
        service: 'postgres',
        others: ['redis'],
        isListed: true,
        changed: [
          { name: 'DATABASE_URL', value: 'postgres://ada:***@db.local/shop', owners: ['a', 'b', 'c', 'd'] },
          { name: 'PGHOST', value: 'db.local', owners: ['a'] },
        ],
      },
      'postgres: no client connected, as DATABASE_URL (now postgres://ada:***@db.local/shop), PGHOST (now db.local) was changed after vitest-infra had set it, in 4 files (a, b, c and 1 more): remove that assignment from your setup files, from what they load (dotenv with override), or from the tests',
    ],
  ],
  'main-shared': [
    [
      { type: 'main-shared', projects: ['api'] },
      `project "api" uses the main database and the main Redis for all files (isolation: 'shared')`,
    ],
    [
      { type: 'main-shared', projects: ['api', 'worker'] },
      `projects "api", "worker" use the main database and the main Redis for all files (isolation: 'shared')`,
    ],
  ],
  'connections-left': [
    [
      { type: 'connections-left', owner: 'a.test.ts', sessions: ['api', 'worker', 'api'] },
      'a.test.ts left 3 connections open: "api" (2), "worker" (1)',
    ],
    [
      { type: 'connections-left', owner: 'a.test.ts', sessions: ['api'] },
      'a.test.ts left 1 connection open: "api" (1)',
    ],
    [
      { type: 'connections-left', owner: 'a.test.ts', sessions: ['', 'api', ''] },
      'a.test.ts left 3 connections open: (no application_name) (2), "api" (1)',
    ],
  ],
  'clients-left': [
    [
      { type: 'clients-left', owner: 'a.test.ts' },
      'a.test.ts left a client connected to its Redis, perhaps in a child process; no other file gets that Redis until the client disconnects: close clients and queues in afterAll, and stop child processes',
    ],
  ],
  'objects-dropped': [
    [
      { type: 'objects-dropped', file: 'a.test.ts', objects: ['table public.a', 'type public.b'] },
      'dropped after a.test.ts, as the template does not have it: table public.a, type public.b',
    ],
    [
      { type: 'objects-dropped', file: 'a.test.ts', objects: ['table a', 'table b', 'table c', 'table d', 'table e'] },
      'dropped after a.test.ts, as the template does not have it: table a, table b, table c and 2 more',
    ],
  ],
  'statements-late': [
    [
      {
        type: 'statements-late',
        service: 'postgres',
        file: 'a.test.ts',
        isFirst: true,
        statements: [{ session: 'api', query: `INSERT INTO  t\n VALUES ('${'x'.repeat(60)}')` }],
      },
      `a.test.ts left code running that still uses its database ("api": INSERT INTO t VALUES ('${'x'.repeat(36)}…), ` +
        'which later files use too: stop timers and await queries in afterAll',
    ],
    [
      {
        type: 'statements-late',
        service: 'postgres',
        file: 'b.test.ts',
        isFirst: false,
        statements: [{ session: '', query: 'SELECT 1' }],
      },
      'b.test.ts, or a file before it in its worker, left code running that still uses its database (a session without application_name: SELECT 1), ' +
        'which later files use too: stop timers and await queries in afterAll',
    ],
    [
      {
        type: 'statements-late',
        service: 'redis',
        file: 'b.test.ts',
        isFirst: false,
        statements: [
          { session: '', query: 'set a 1' },
          { session: 'mails', query: 'bzpopmin' },
        ],
      },
      'b.test.ts, or a file before it in its worker, left code running that still uses its Redis (a client without a name: set a 1, "mails": bzpopmin), ' +
        'which later files use too: stop timers, close queues and await commands in afterAll',
    ],
  ],
  'server-replaced': [
    [
      { type: 'server-replaced', service: 'redis', reason: 'NOAUTH Authentication required.' },
      'redis of a worker was restarted between two files, as it could not be reset: NOAUTH Authentication required.',
    ],
  ],
  'capacity-waiting': [
    [
      { type: 'capacity-waiting', service: 'postgres', reason: 'others leave 3 of 100 connections' },
      'waiting for capacity on postgres: others leave 3 of 100 connections',
    ],
  ],
  'test-log': [
    [
      {
        type: 'test-log',
        owner: 'a.test.ts > adds',
        lines: ['ERROR:  no', '\tsecond line', 'STATEMENT:  \x1b[31mred'],
        more: 0,
      },
      "PostgreSQL's log for a.test.ts > adds:\n       ERROR:  no\n       \tsecond line\n       STATEMENT:  red",
    ],
    [
      { type: 'test-log', owner: 'a', lines: Array.from({ length: 25 }, (_, index) => `line ${index + 1}`), more: 70 },
      `PostgreSQL's log for a:\n${Array.from({ length: 20 }, (_, index) => `       line ${index + 1}\n`).join('')}       and 75 more lines`,
    ],
    [
      { type: 'test-log', owner: 'a', lines: Array.from({ length: 21 }, () => 'x'), more: 0 },
      `PostgreSQL's log for a:\n${'       x\n'.repeat(20)}       and 1 more line`,
    ],
  ],
  'database-retained': [
    [
      { type: 'database-retained', owner: 'a.test.ts', command: 'docker exec -it c psql --username u db' },
      'the database of a.test.ts stays until the tests run again: docker exec -it c psql --username u db',
    ],
  ],
  summary: [[{ type: 'summary', line: '3 leases' }, '3 leases']],
  'service-lost': [
    [
      {
        type: 'service-lost',
        comesBack: false,
        message: 'Cannot go on\nStart again',
        label: 'redis-1',
        lines: ['\x1b[31mout of luck'],
      },
      'Cannot go on\n       Start again\n       Last lines of the log of redis-1:\n       out of luck',
    ],
    [
      { type: 'service-lost', comesBack: false, message: 'Cannot go on', label: 'redis-1', lines: [] },
      'Cannot go on\n       The log of redis-1 is empty or gone',
    ],
  ],
  'stop-failed': [[{ type: 'stop-failed', message: 'Cannot stop the stack' }, 'Cannot stop the stack']],
}

test.for(Object.values<readonly (readonly [InfraEvent, string])[]>(LINES).flat())(
  'renderEvent() renders %j',
  ([event, line]) => {
    expect(renderEvent(event)).toBe(line)
  },
)

test('createReporter() writes a line for each event', () => {
  const output = new Output({ isTTY: false })
  const report = createReporter(output)
  report(SELECTED)
  report({ type: 'pull-finished', image: 'redis:8-alpine', elapsedMs: 1_000 })
  expect(output.text).toBe('infra  Docker 28.5.1 at /var/run/docker.sock\ninfra  pulled redis:8-alpine in 1.00 s\n')
})

test('createReporter() colours its name in a terminal', () => {
  const output = new Output({ isTTY: true })
  createReporter(output)(SELECTED)
  expect(output.text).toBe(`${CYAN_INFRA}  Docker 28.5.1 at /var/run/docker.sock\n`)
})

test('createReporter() respects NO_COLOR', () => {
  const output = new Output({ isTTY: true })
  vi.stubEnv('NO_COLOR', '1')
  createReporter(output)(SELECTED)
  expect(output.text).toBe('infra  Docker 28.5.1 at /var/run/docker.sock\n')
})

test('createReporter() respects FORCE_COLOR', () => {
  const output = new Output({ isTTY: false })
  vi.stubEnv('FORCE_COLOR', '1')
  createReporter(output)(SELECTED)
  expect(output.text).toBe(`${CYAN_INFRA}  Docker 28.5.1 at /var/run/docker.sock\n`)
})

test('createReporter() redraws the progress of a pull in a terminal', () => {
  const output = new Output({ isTTY: true })
  vi.stubEnv('NO_COLOR', '1')
  const report = createReporter(output)
  report(progress(1))
  report(progress(2))
  report({ type: 'pull-finished', image: 'postgres:18-alpine', elapsedMs: 2_000 })
  report(SELECTED)
  expect(output.text).toBe(
    [
      '\r\x1b[Kinfra  pulling postgres:18-alpine: 1 of 9 layers, 10.0 of 90.5 MB',
      '\r\x1b[Kinfra  pulling postgres:18-alpine: 2 of 9 layers, 20.0 of 90.5 MB',
      '\r\x1b[Kinfra  pulled postgres:18-alpine in 2.00 s\n',
      'infra  Docker 28.5.1 at /var/run/docker.sock\n',
    ].join(''),
  )
})

test('createReporter() writes progress at intervals without a terminal', () => {
  const output = new Output({ isTTY: false })
  let nowMs = 5_000
  const report = createReporter(output, () => nowMs)
  for (const [atMs, layers] of [
    [5_000, 0],
    [5_100, 1],
    [14_999, 2],
    [15_000, 3],
    [15_001, 4],
    [40_000, 5],
    [49_999, 6],
    [50_000, 7],
  ] as const) {
    nowMs = atMs
    report(progress(layers))
  }
  const layers = output.text.match(/\d(?= of 9 layers)/g)
  expect(layers).toEqual(['0', '3', '5', '7'])
  expect(output.text).not.toContain('\r')
})

test('createReporter() delays only progress', () => {
  const output = new Output({ isTTY: false })
  const report = createReporter(output, () => 0)
  report(progress(1))
  report(progress(2))
  report(SELECTED)
  report(SELECTED)
  expect(output.text.split('\n').filter(Boolean)).toHaveLength(3)
})
