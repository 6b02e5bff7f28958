import { expect, test } from 'vitest'
import type { StackFacts } from '../../../src/environment/infra-facts.ts'
import { type DescribedService, describeEnvironment, describeStack } from '../../../src/stack/stack-facts.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'
import { resolve } from '../support/resolve.ts'

const postgres: DescribedService = {
  name: 'postgres',
  address: { host: 'localhost', port: 49_153 },
  version: '18.6',
  state: 'healthy',
}
const redis: DescribedService = {
  name: 'redis',
  address: { host: 'localhost', port: 49_154 },
  version: '8.0.6',
  state: 'healthy',
}

function factsOf(options: object = {}): StackFacts {
  return describeStack(resolve(options), 'docker', [postgres, redis])
}

function environmentOf(options: object = {}): Record<string, string> {
  return describeEnvironment(resolve(options), factsOf(options))
}

test('describeStack() lists all addresses', () => {
  const options = { postgres: { user: 'shop', password: 'a/b', database: 'orders' } }
  expect(describeStack(resolve(options), 'docker', [postgres, redis])).toEqual({
    provider: 'docker',
    postgres: {
      host: 'localhost',
      port: 49_153,
      user: 'shop',
      password: 'a/b',
      database: 'orders',
      url: 'postgres://shop:a%2Fb@localhost:49153/orders',
      version: '18.6',
    },
    redis: { host: 'localhost', port: 49_154, url: 'redis://localhost:49154', version: '8.0.6' },
    services: {
      postgres: { host: 'localhost', port: 49_153, state: 'healthy' },
      redis: { host: 'localhost', port: 49_154, state: 'healthy' },
    },
  })
})

test('describeStack() omits services that are not configured', () => {
  const facts = describeStack(resolve({ services: ['redis'] }), 'docker', [redis])
  expect(Object.keys(facts)).toEqual(['provider', 'redis', 'services'])
  expect(Object.keys(facts.services)).toEqual(['redis'])
  expect(describeStack(resolve({ services: [] }), 'docker', [])).toEqual({ provider: 'docker', services: {} })
})

// They cross into the worker.
test('describeStack() returns plain data', () => {
  const facts = factsOf()
  expect(structuredClone(facts)).toEqual(facts)
  expect(JSON.parse(JSON.stringify(facts))).toEqual(facts)
})

test('describeEnvironment() returns the variable set', () => {
  expect(environmentOf()).toEqual({
    POSTGRES_USER: 'postgres',
    POSTGRES_PASSWORD: 'postgres',
    POSTGRES_DB: 'app',
    POSTGRES_PORT: '49153',
    DB_HOST: 'localhost',
    DB_PORT: '49153',
    DB_USER: 'postgres',
    DB_PASSWORD: 'postgres',
    DB_NAME: 'app',
    DATABASE_URL: 'postgres://postgres:postgres@localhost:49153/app',
    PGHOST: 'localhost',
    PGPORT: '49153',
    PGUSER: 'postgres',
    PGPASSWORD: 'postgres',
    PGDATABASE: 'app',
    REDIS_HOST: 'localhost',
    REDIS_PORT: '49154',
    REDIS_URL: 'redis://localhost:49154',
  })
})

test('describeEnvironment() omits variables of services that are not configured', () => {
  const options = { services: ['redis'] }
  const facts = describeStack(resolve(options), 'docker', [redis])
  expect(Object.keys(describeEnvironment(resolve(options), facts))).toEqual(['REDIS_HOST', 'REDIS_PORT', 'REDIS_URL'])
})

test("describeEnvironment() omits libpq's variables if they are disabled", () => {
  expect(Object.keys(environmentOf({ libpqEnv: false })).filter((name) => name.startsWith('PG'))).toEqual([])
})

test("describeEnvironment() prefers the user's own names", () => {
  const options = {
    env: (facts: StackFacts) => ({ TEST_PG: facts.postgres.url, DATABASE_URL: 'mine', PGHOST: 'there' }),
  }
  expect(environmentOf(options)).toMatchObject({
    TEST_PG: 'postgres://postgres:postgres@localhost:49153/app',
    DATABASE_URL: 'mine',
    PGHOST: 'there',
    PGPORT: '49153',
  })
})

test('describeEnvironment() passes the facts to env', () => {
  const given: StackFacts[] = []
  environmentOf({
    env: (facts: StackFacts) => {
      given.push(facts)
      return {}
    },
  })
  expect(given).toEqual([factsOf()])
})

test('describeEnvironment() names the variable that is not a string', async () => {
  const error = await catchInfraError(() => environmentOf({ env: () => ({ A: 'a', PG_PORT: 5432 }) }))
  expect(error.code).toBe('INFRA_ENV_FUNCTION')
  expect(error.message).toBe(
    [
      'Cannot set the variables of the env option: PG_PORT is not text, but number',
      'Let env return an object of names and text, such as { TEST_PG_URL: facts.postgres.url }',
    ].join('\n'),
  )
})

test("describeEnvironment() passes on env's error", async () => {
  const cause = new TypeError("Cannot read properties of undefined (reading 'url')")
  const env = () => {
    throw cause
  }
  const error = await catchInfraError(() => environmentOf({ env }))
  expect(error).toMatchObject({ code: 'INFRA_ENV_FUNCTION', cause })
  expect(error.message).toContain(`env option: ${cause.message}\n`)
})

test.for<readonly [string, () => unknown]>([
  ['undefined as a value', () => ({ A: undefined })],
  ['null as a value', () => ({ A: null })],
  ['a number', () => 5],
  ['a text', () => 'A=b'],
  ['a list', () => ['A=b']],
  // async (facts) => ({ … }) looks right, and would set nothing at all.
  ['a promise', async () => ({ A: 'b' })],
])('describeEnvironment() rejects an env that returns %s', async ([, env]) => {
  const error = await catchInfraError(() => environmentOf({ env }))
  expect(error.code).toBe('INFRA_ENV_FUNCTION')
})
