import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { RedisFacts } from '../../src/environment/infra-facts.ts'
import { openLeaseClient } from '../../src/leasing/lease-client.ts'
import { demultiplex } from '../../src/providers/docker/engine/demultiplex.ts'
import { EngineApi } from '../../src/providers/docker/engine/engine-api.ts'
import { buildImage, type BuiltImage } from '../support/build-image.ts'
import { engine, Project, type Run } from '../support/snapshot-runs.ts'
import { connect, startPostgresStack, valuesOf } from './servers/postgres-support.ts'
import { describeRedis, openRedis, type RedisStack, startRedisStack } from './servers/redis-support.ts'

describe("a leased Redis starts as its image's entrypoint does", () => {
  let image: BuiltImage
  let stack: RedisStack

  beforeAll(async () => {
    image = await buildImage({
      from: 'redis:8-alpine',
      entrypoint: `#!/bin/sh
export SHOP=open
umask 0027
exec docker-entrypoint.sh "$@" --maxmemory 64mb --set-proc-title no --loadmodule /opt/greeter.so
`,
      command: ['redis-server'],
      hasModule: true,
    })
    stack = await startRedisStack({ image: image.name })
  })
  afterAll(async () => {
    await stack?.stop()
    await image?.remove()
  })

  test('arguments and modules', async () => {
    const lease = await stack.lease()
    const client = openRedis(lease.facts.redis)
    expect(await client.call('GREETER.HELLO')).toBe('hello')
    expect(await client.config('GET', 'maxmemory')).toEqual(['maxmemory', String(64 * 1024 * 1024)])
    expect(await describeRedis(client)).toEqual(await describeRedis(openRedis(stack.main)))
  })

  test('account, variables and mask', async () => {
    const lease = await stack.lease()
    const [leased, main] = await Promise.all(
      [lease.facts.redis, stack.main].map((place) => processOf(place, stack.container)),
    )
    expect(leased).toEqual(main)
    // That of the official image, which its entrypoint changes to.
    expect(leased).toMatchObject({ account: '999 999 999 999', variables: expect.arrayContaining(['SHOP=open']) })
  })

  test('a reset server and a restarted one have them, too', async () => {
    const lease = await stack.lease()
    const client = openRedis(lease.facts.redis)
    const before = await describeRedis(client)
    await client.config('SET', 'maxmemory', '1mb')
    await client.set('a', 1)
    await stack.leases.reset(lease.lease, 'the next test')
    expect(await describeRedis(client)).toEqual(before)
    expect(await client.call('GREETER.HELLO')).toBe('hello')
    expect(stack.events.filter(({ type }) => type === 'server-replaced')).toEqual([])
    await stack.leases.control(lease.lease, 'redis', 'restart')
    const next = openRedis(lease.facts.redis)
    expect(await next.call('GREETER.HELLO')).toBe('hello')
    // Data saved by a test exists after a restart, so the account may write to the folder.
    await next.set('b', 1)
    await next.save()
    await stack.leases.control(lease.lease, 'redis', 'restart')
    expect(await openRedis(lease.facts.redis).get('b')).toBe('1')
  })

  test('leases of a reused server have them, too', async () => {
    const project = await Project.create()
    for (const origin of ['new', 'earlier run']) {
      const run = await project.start({ services: ['redis'], redis: { image: image.name }, keepAlive: '1m' })
      expect(run.events).toContainEqual(expect.objectContaining({ type: 'service-healthy', origin }))
      expect(await openRedis(await leaseOf(run)).call('GREETER.HELLO')).toBe('hello')
      await run.stop()
    }
  })
})

test("a leased PostgreSQL with isolation: 'server' starts as its image's entrypoint does", async () => {
  const image = await buildImage({
    from: 'postgres:18-alpine',
    entrypoint: `#!/bin/sh
export SHOP=open PGTZ=Asia/Tokyo
exec docker-entrypoint.sh "$@" -c work_mem=7MB -c autovacuum_naptime=77
`,
    command: ['postgres'],
  })
  onTestFinished(() => image.remove())
  const stack = await startPostgresStack({ postgres: { image: image.name, migrations: [], seeds: [] } })
  onTestFinished(() => stack.stop())
  const client = await connect(await stack.lease())
  expect(await valuesOf(client, 'SHOW work_mem')).toEqual(['7MB'])
  expect(await valuesOf(client, 'SHOW autovacuum_naptime')).toEqual(['77s'])
  await client.query("CREATE TEMP TABLE env (line text); COPY env FROM PROGRAM 'env; id -un'")
  const lines = await valuesOf(client, "SELECT line FROM env WHERE line ~ '^(SHOP|PGTZ)=|^postgres$' ORDER BY line")
  expect(lines).toEqual(['PGTZ=Asia/Tokyo', 'SHOP=open', 'postgres'])
})

/** The user and the command line of a server. */
async function processOf(place: RedisFacts, container: string) {
  const info = await openRedis(place).info('server')
  const pid = /^process_id:(\d+)/m.exec(info)?.[1] ?? ''
  const script = `cat /proc/${pid}/environ | tr '\\0' '\\n'; echo; grep -E '^(Uid|Umask)' /proc/${pid}/status`
  const { found } = await engine()
  const stream = await new EngineApi(found).exec(container, { command: ['sh', '-c', script], user: 'redis' })
  const lines = demultiplex(await buffer(stream)).split('\n')
  const valueOf = (name: string) =>
    lines
      .find((line) => line.startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .trim()
  return {
    account: valueOf('Uid')?.replaceAll('\t', ' '),
    mask: valueOf('Umask'),
    // Without variables that shells set.
    variables: lines.filter((line) => /^(?!SHLVL|_|PWD|OLDPWD)\w+=/.test(line)).sort(),
  }
}

async function leaseOf({ socket }: Run): Promise<RedisFacts> {
  const client = await openLeaseClient(socket)
  const usual = { project: '', owner: 'the test', span: 'file', template: '', reuse: false } as const
  return (await client.acquire({ ...usual, wants: ['redis'] })).facts.redis
}
