// A run on existing servers, in a separate process: leases, uses and releases. Prints each lease as a line of JSON;
// then prints "done" and exits, or waits to be killed. Arguments: the task.
import { systemClock } from '../../src/internal/clock.ts'
import { openLeaseClient } from '../../src/leasing/lease-client.ts'
import { withPostgres } from '../../src/services/postgres.ts'
import { withRedis } from '../../src/services/redis.ts'
import { resolveSpec } from '../../src/config/resolve-spec.ts'
import { startInfra } from '../../src/stack/start-infra.ts'
import type { ExternalTask } from './start-external-process.ts'

const { name, options, root, rounds, holds } = JSON.parse(process.argv[2] ?? '') as ExternalTask
const spec = resolveSpec(
  { provider: 'external', ...options },
  { root, source: 'the test', environment: { process: process.env } },
)
const infra = startInfra(spec, {
  environment: process.env,
  workers: 1,
  variables: () => ({}),
  report: (event) => process.stderr.write(`${JSON.stringify(event)}\n`),
  clock: systemClock,
})
try {
  const { socket } = await infra.up
  const client = await openLeaseClient(socket)
  for (let round = 0; round < rounds; round += 1) {
    const wants = ['postgres', 'redis'] as const
    const request = { project: '', owner: `${name} ${round}`, span: 'file', wants, template: 'default' } as const
    const { lease, facts } = await client.acquire({ ...request, reuse: false })
    const { postgres, redis } = facts
    await withPostgres(postgres, (connection) => connection.query('INSERT INTO notes VALUES ($1)', [name]))
    await withRedis(redis, (connection) => connection.rpush('notes', name))
    await systemClock.sleep(Math.random() * 50)
    const { rows } = await withPostgres(postgres, (connection) => connection.query('SELECT text FROM notes'))
    const notes = await withRedis(redis, (connection) => connection.lrange('notes', 0, -1))
    say({ name, database: postgres.database, redis: redis.database, rows: rows.map(({ text }) => text), notes })
    if (!holds) {
      await client.release(lease)
    }
  }
  process.stdout.write('done\n')
  if (holds) {
    await new Promise((resolve) => setTimeout(resolve, 600_000))
  }
} finally {
  await infra.stop()
}

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
