import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'

const run = promisify(execFile)

// Built while this file is imported: the variables have to be there by then.
const client = new pg.Client(process.env.DATABASE_URL)
const redis = new Redis(process.env.REDIS_URL ?? '')

beforeAll(() => client.connect())
afterAll(async () => {
  await client.end()
  redis.disconnect()
})

describe('the variables', () => {
  test('point to the servers that the facts name', () => {
    const { postgres, redis: redisFacts, env } = inject('infra')

    expect(env).toEqual({
      POSTGRES_USER: postgres.user,
      POSTGRES_PASSWORD: postgres.password,
      POSTGRES_DB: postgres.database,
      POSTGRES_PORT: String(postgres.port),
      DB_HOST: 'localhost',
      DB_PORT: String(postgres.port),
      DB_USER: postgres.user,
      DB_PASSWORD: postgres.password,
      DB_NAME: postgres.database,
      DATABASE_URL: postgres.url,
      PGHOST: 'localhost',
      PGPORT: String(postgres.port),
      PGUSER: postgres.user,
      PGPASSWORD: postgres.password,
      PGDATABASE: postgres.database,
      REDIS_HOST: 'localhost',
      REDIS_PORT: String(redisFacts.port),
      REDIS_URL: redisFacts.url,
    })
    expect(process.env).toMatchObject(env)
  })
})

describe('postgres', () => {
  test('is version 18, also in the facts', async () => {
    const { rows } = await client.query<{ version: string }>('SELECT version()')

    expect(inject('infra').postgres.version).toMatch(/^18\./)
    expect(rows[0]?.version).toContain(`PostgreSQL ${inject('infra').postgres.version}`)
  })

  test('does not wait for disk writes', async () => {
    const { rows } = await client.query(
      "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes', 'max_connections') ORDER BY name",
    )

    expect(rows).toEqual([
      { name: 'fsync', setting: 'off' },
      { name: 'full_page_writes', setting: 'off' },
      { name: 'max_connections', setting: '500' },
      { name: 'synchronous_commit', setting: 'off' },
    ])
  })

  test('does not log checkpoints', async () => {
    const { rows } = await client.query('SHOW log_checkpoints')
    expect(rows).toEqual([{ log_checkpoints: 'off' }])
  })

  test('accepts us as a superuser, with the maintenance database next to ours', async () => {
    const { rows } = await client.query<{ usesuper: boolean }>(
      'SELECT usesuper FROM pg_user WHERE usename = current_user',
    )
    const databases = await client.query<{ datname: string }>(
      'SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1',
    )

    expect(rows).toEqual([{ usesuper: true }])
    expect(databases.rows.map(({ datname }) => datname)).toEqual(expect.arrayContaining(['app', 'postgres']))
  })
})

describe('redis', () => {
  test('is version 8 and writes nothing to disk', async () => {
    expect(inject('infra').redis.version).toMatch(/^8\./)
    expect(await redis.config('GET', 'save')).toEqual(['save', ''])
    expect(await redis.config('GET', 'appendonly')).toEqual(['appendonly', 'no'])
  })
})

describe('the containers', () => {
  test('carry our labels and the declared healthcheck, publish on the loopback only, and keep data in memory', async () => {
    const { postgres } = inject('infra')
    const container = await inspectPublisher(postgres.port)

    expect(container.Config.Labels).toMatchObject({
      'vitest-infra.service': 'postgres',
      'vitest-infra.run': expect.stringMatching(/^[0-9a-f]{8}$/),
      'vitest-infra.project': expect.any(String),
    })
    expect(container.Config.Healthcheck).toEqual({
      Test: ['CMD-SHELL', expect.stringContaining('pg_isready --host 127.0.0.1')],
      Interval: 5_000_000_000,
      Timeout: 5_000_000_000,
      Retries: 12,
    })
    expect(container.HostConfig.PortBindings['5432/tcp']).toEqual([{ HostIp: '127.0.0.1', HostPort: '0' }])
    expect(Object.keys(container.HostConfig.Tmpfs)).toEqual(['/var/lib/postgresql'])
    expect(container.Mounts).toEqual([])
  })
})

interface Inspected {
  Config: { Labels: Record<string, string>; Healthcheck: object }
  HostConfig: { PortBindings: Record<string, object[]>; Tmpfs: Record<string, string> }
  Mounts: object[]
}

async function inspectPublisher(port: number): Promise<Inspected> {
  const { stdout: id } = await run('docker', ['ps', '--quiet', '--filter', `publish=${port}`])
  const { stdout } = await run('docker', ['inspect', id.trim()])
  return (JSON.parse(stdout) as [Inspected])[0]
}
