import { deepEqual } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { PostgresAddress, RedisAddress } from '../../src/environment/variable-set.ts'
import { postgresUrl, redisUrl } from '../../src/environment/variable-set.ts'
import { awaitHealthy } from '../../src/health/gate.ts'
import { systemClock } from '../../src/internal/clock.ts'
import { selectProvider } from '../../src/providers/select-provider.ts'
import { definePostgres, withPostgres } from '../../src/services/postgres.ts'
import { defineRedis, withRedis } from '../../src/services/redis.ts'
import type { ExternalOptions } from '../../src/config/infra-options.ts'
import { type ResolvedPostgres, type ResolvedRedis, resolveSpec } from '../../src/config/resolve-spec.ts'

/** Long enough to be redacted wherever it appears. */
export const PASSWORD = 'not-for-anybodys-eyes'

const TABLE = 'CREATE TABLE accounts (name text); INSERT INTO accounts VALUES ($$ada$$)'

/** Servers that exist before any run, with other users' data. */
export interface SomebodysServers {
  readonly postgres: PostgresAddress
  readonly redis: RedisAddress
  /** Options with the servers' addresses. */
  readonly external: ExternalOptions
  /** Lists everything on the servers, other users' data and ours. */
  look(): Promise<Inventory>
  /** Fails if the content has changed, except for templates, which stay for the next run. */
  assertUntouched(): Promise<void>
  stop(): Promise<void>
}

export interface Inventory {
  readonly databases: readonly string[]
  readonly roles: readonly string[]
  readonly accounts: readonly string[]
  /** `number key=value`, of all databases of Redis. */
  readonly keys: readonly string[]
}

export interface SomebodysServersOptions {
  readonly maxConnections?: number
  readonly redisDatabases?: number
}

/** The content of the servers before any run. */
export const UNTOUCHED: Inventory = {
  databases: ['app', 'postgres', 'vitest_infra_backup', 'vitest_infra_t_backup'],
  roles: ['clerk', 'postgres'],
  accounts: ['ada', 'ada', 'ada'],
  keys: ['0 session=ada', '3 session=bob'],
}

export async function startSomebodysServers(options: SomebodysServersOptions = {}): Promise<SomebodysServers> {
  const { maxConnections = 100, redisDatabases = 16 } = options
  const given = {
    provider: 'embedded',
    postgres: { password: PASSWORD, settings: { max_connections: maxConnections, log_statement: 'none' } },
    redis: { args: ['--databases', String(redisDatabases)] },
  }
  const spec = resolveSpec(given, { root: import.meta.dirname, source: 'the test', environment: { process: {} } })
  const provider = await selectProvider(spec, { environment: process.env, runId: randomBytes(4).toString('hex') })
  const signal = new AbortController().signal
  const { password, user } = spec.postgres as ResolvedPostgres
  const redisSpec = spec.redis as ResolvedRedis
  const definitions = [
    definePostgres(spec.postgres as ResolvedPostgres),
    // Not an option: our own Redis has no password.
    defineRedis({
      ...redisSpec,
      args: [...redisSpec.args, '--requirepass', password],
      server: { host: '', port: 0, password },
    }),
  ]
  const started = await Promise.all(
    definitions.map(async (definition) => {
      const server = await provider.start(definition, { report: () => {}, signal })
      await awaitHealthy({ definition, started: server, windowMs: 30_000, clock: systemClock, signal })
      return server
    }),
  )
  const [one, other] = started as [(typeof started)[number], (typeof started)[number]]
  const postgres = { ...one.address, user, password, database: 'app' }
  const redis = { ...other.address, password }
  await plant(postgres, redis)
  return {
    postgres,
    redis,
    external: { postgres: postgresUrl(postgres), redis: redisUrl(redis) },
    look: () => look(postgres, redis, redisDatabases),
    async assertUntouched() {
      deepEqual(withoutTemplates(await look(postgres, redis, redisDatabases)), UNTOUCHED)
    },
    async stop() {
      await Promise.all(started.map((server) => server.stop()))
    },
  }
}

/** Creates other users' data, some of it with names similar to ours. */
async function plant(postgres: PostgresAddress, redis: RedisAddress): Promise<void> {
  await withPostgres(postgres, async (client) => {
    await client.query(TABLE)
    await client.query('CREATE DATABASE vitest_infra_backup')
    await client.query('CREATE DATABASE vitest_infra_t_backup')
    await client.query('CREATE ROLE clerk')
  })
  for (const database of ['vitest_infra_backup', 'vitest_infra_t_backup']) {
    await withPostgres({ ...postgres, database }, (client) => client.query(TABLE))
  }
  await withRedis(redis, (client) => client.set('session', 'ada'))
  await withRedis({ ...redis, database: 3 }, (client) => client.set('session', 'bob'))
}

async function look(postgres: PostgresAddress, redis: RedisAddress, redisDatabases: number): Promise<Inventory> {
  const values = async (database: string, sql: string) => {
    const { rows } = await withPostgres({ ...postgres, database }, (client) => client.query<{ value: string }>(sql))
    return rows.map(({ value }) => value)
  }
  const accounts = ['app', 'vitest_infra_backup', 'vitest_infra_t_backup'].map((database) =>
    values(database, 'SELECT name AS value FROM accounts'),
  )
  return {
    databases: await values(
      'postgres',
      "SELECT datname AS value FROM pg_database WHERE datname !~ '^template[01]$' ORDER BY 1",
    ),
    roles: await values('postgres', "SELECT rolname AS value FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1"),
    accounts: (await Promise.all(accounts)).flat(),
    keys: await withRedis(redis, async (client) => {
      const found: string[] = []
      for (let database = 0; database < redisDatabases; database += 1) {
        await client.select(database)
        for (const key of (await client.keys('*')).toSorted()) {
          const isText = (await client.type(key)) === 'string'
          const values = isText ? [await client.get(key)] : await client.lrange(key, 0, -1)
          found.push(`${database} ${key}=${values.join()}`)
        }
      }
      return found
    }),
  }
}

/** Removes templates from an inventory, as they stay for the next run. */
export function withoutTemplates(inventory: Inventory): Inventory {
  return { ...inventory, databases: inventory.databases.filter((name) => !/^vitest_infra_t_[0-9a-f]{24}$/.test(name)) }
}
