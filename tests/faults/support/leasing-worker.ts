// A worker that leases databases and Redises in sequence, checks that they equal new ones, writes into them and
// releases them, or exits in between as if it crashed. Its arguments: the socket, a seed, the number of leases.
import { Redis } from 'ioredis'
import pg from 'pg'
import { openLeaseClient } from '../../../src/leasing/lease-client.ts'
import { createRandom } from './random.ts'

/** The worker's messages to its parent. */
export type LeasingNews =
  | { readonly type: 'leased'; readonly database: string; readonly redis: string }
  | { readonly type: 'done' }
  | { readonly type: 'finding'; readonly text: string }

/** How often a worker exits during a lease. */
const CRASHES = 0.01
/** How often it leaves its connections open, and how often it does not use the database. */
const [LEAVES_OPEN, LEAVES_UNUSED] = [0.05, 0.1]

const REQUEST = { project: '', span: 'file', wants: ['postgres', 'redis'], template: 'default', reuse: false } as const

const [socket = '', seed = '0', count = '0'] = process.argv.slice(2)
const random = createRandom(Number(seed))
const client = await openLeaseClient(socket)
for (let index = 0; index < Number(count); index += 1) {
  const owner = `${seed}-${index}`
  const { lease, facts } = await client.acquire({ ...REQUEST, owner })
  tell({ type: 'leased', database: facts.postgres.database, redis: facts.redis.url })
  if (random() >= LEAVES_UNUSED) {
    await use(facts.postgres.url, facts.redis.url, owner)
  }
  if (random() < CRASHES) {
    process.kill(process.pid, 'SIGKILL')
  }
  await client.release(lease)
  tell({ type: 'done' })
}
process.disconnect()
process.exit()

async function use(postgresUrl: string, redisUrl: string, owner: string): Promise<void> {
  const postgres = new pg.Client(postgresUrl)
  const redis = new Redis(redisUrl)
  // The end of the lease closes the open connections.
  postgres.on('error', () => {})
  redis.on('error', () => {})
  await postgres.connect()
  await expectRows(postgres, ['template'])
  const keys = await redis.keys('*')
  if (keys.length > 0) {
    tell({ type: 'finding', text: `${owner} found keys: ${keys.join(', ')}` })
  }
  await Promise.all([postgres.query('INSERT INTO marks VALUES ($1)', [owner]), redis.set('mark', owner)])
  await expectRows(postgres, ['template', owner])
  const mark = await redis.get('mark')
  if (mark !== owner) {
    tell({ type: 'finding', text: `${owner} found the mark of ${mark}` })
  }
  if (random() >= LEAVES_OPEN) {
    await postgres.end()
    redis.disconnect()
  }
}

async function expectRows(postgres: pg.Client, expected: readonly string[]): Promise<void> {
  const { rows } = await postgres.query<{ who: string }>('SELECT who FROM marks')
  const found = rows.map(({ who }) => who)
  if (found.toSorted().join() !== expected.toSorted().join()) {
    tell({ type: 'finding', text: `expected the marks ${expected.join(', ')}, found ${found.join(', ')}` })
  }
}

function tell(news: LeasingNews): void {
  process.send?.(news)
}
