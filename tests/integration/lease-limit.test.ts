import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/internal/clock.ts'
import { openLeaseClient } from '../../src/leasing/lease-client.ts'
import type { InfraEvent } from '../../src/report/events.ts'
import { resolveSpec } from '../../src/config/resolve-spec.ts'
import { startInfra } from '../../src/stack/start-infra.ts'

const FILE = {
  project: '',
  owner: 'a.test.ts',
  span: 'file',
  wants: ['postgres'],
  template: 'default',
  reuse: false,
} as const
const TEST = { ...FILE, span: 'test' } as const

test("the server's settings limit concurrent databases; later requests wait and the wait is reported", async () => {
  const events: InfraEvent[] = []
  const options = { services: ['postgres'], postgres: { settings: { max_connections: 30 } } }
  const spec = resolveSpec(options, { root: import.meta.dirname, source: 'the test', environment: { process: {} } })
  const infra = startInfra(spec, {
    environment: process.env,
    workers: 1,
    variables: () => ({}),
    report: (event) => void events.push(event),
    clock: systemClock,
  })
  onTestFinished(() => infra.stop())
  const client = await openLeaseClient((await infra.up).socket)
  await client.acquire({ ...FILE, owner: 'a.test.ts' })
  const first = await client.acquire({ ...TEST, owner: 'a.test.ts > one' })
  const waiting = client.acquire({ ...TEST, owner: 'a.test.ts > two' })
  const told = () => events.find(({ type }) => type === 'lease-waiting')
  await expect.poll(told, { timeout: 10_000 }).toEqual({
    type: 'lease-waiting',
    service: 'postgres',
    owner: 'a.test.ts > two',
    count: 2,
    reason: 'max_connections is 30, and a lease is reckoned with 10',
  })
  await client.release(first.lease)
  expect((await waiting).facts.postgres.database).not.toBe(first.facts.postgres.database)
})
