// A worker that leases databases in sequence, as one that runs test files does, and reports its waits to its parent.
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { openLeaseClient } from '../src/leasing/lease-client.ts'

export interface Waits {
  readonly leaseMs: number[]
  readonly queryMs: number[]
}

const REQUEST = {
  project: '',
  owner: 'bench',
  span: 'file',
  wants: ['postgres'],
  template: 'default',
  reuse: false,
} as const

const [socket = '', count = '0', heldMs = '0'] = process.argv.slice(2)
const client = await openLeaseClient(socket)
const waits: Waits = { leaseMs: [], queryMs: [] }
for (let index = 0; index < Number(count); index += 1) {
  const beganMs = performance.now()
  const { lease, facts } = await client.acquire(REQUEST)
  waits.leaseMs.push(performance.now() - beganMs)
  const connection = new pg.Client(facts.postgres.url)
  await connection.connect()
  await connection.query('SELECT count(*) FROM customers')
  waits.queryMs.push(performance.now() - beganMs)
  await sleep(Number(heldMs))
  await connection.end()
  await client.release(lease)
}
process.send?.(waits)
process.disconnect?.()
