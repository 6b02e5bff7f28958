import { expect, test } from 'vitest'
import { DEFAULT_SERVICES } from '../../../src/config/infra-service.ts'
import {
  assertHealthcheckWindow,
  assertPortVariables,
  assertTemplate,
  assertUniqueNames,
  inOrderOfLayers,
  parsePort,
} from '../../../src/config/rules.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'

const { postgres, redis } = DEFAULT_SERVICES

test.for([
  ['1', 1],
  ['5432', 5432],
  ['05432', 5432],
  [65_535, 65_535],
] as const)('parsePort() reads %j', ([value, port]) => {
  expect(parsePort(value, 'POSTGRES_PORT')).toBe(port)
})

test('assertUniqueNames() accepts different names', () => {
  expect(() => assertUniqueNames([], 'services')).not.toThrow()
  expect(() => assertUniqueNames(['postgres', 'redis'], 'services')).not.toThrow()
})

test('assertHealthcheckWindow() accepts a window that is just long enough', () => {
  expect(() => assertHealthcheckWindow(postgres, 60_000)).not.toThrow()
})

test('assertHealthcheckWindow() rejects a window that is shorter than a cold start', async () => {
  const error = await catchInfraError(() => assertHealthcheckWindow(postgres, 60_001))
  expect(error).toMatchObject({ code: 'INFRA_HEALTHCHECK_WINDOW', service: 'postgres' })
  expect(error.message).toBe(
    [
      'Cannot use the healthcheck of service "postgres": 12 retries every 5s end after 60000 ms, but a cold start may take 60001 ms',
      'Raise postgres.healthcheck.retries or interval, or lower startupTimeoutMs',
    ].join('\n'),
  )
})

test.for(['REDIS_PORT=6379', 'A=1\nexport REDIS_PORT = 1 # one\n', "REDIS_PORT=''", 'REDIS_PORT='])(
  'assertPortVariables() finds the variable in %j',
  (text) => {
    expect(() => assertPortVariables([redis], text)).not.toThrow()
  },
)

test.for(['', '# REDIS_PORT=6379', 'MY_REDIS_PORT=6379', 'REDIS_PORTS=1'])(
  'assertPortVariables() does not find the variable in %j',
  async (text) => {
    const error = await catchInfraError(() => assertPortVariables([redis], text))
    expect(error).toMatchObject({ code: 'INFRA_PORT_VARIABLE_MISSING', service: 'redis' })
    expect(error.message).toBe(
      [
        'Cannot find the port of service "redis": .env.example does not name REDIS_PORT',
        'Add REDIS_PORT=6379 to .env.example',
      ].join('\n'),
    )
  },
)

test('assertTemplate() accepts an existing name', () => {
  expect(() => assertTemplate('orders', [{ name: 'default' }, { name: 'orders' }])).not.toThrow()
})

test('assertTemplate() lists the existing templates', async () => {
  const error = await catchInfraError(() => assertTemplate('oders', [{ name: 'default' }, { name: 'orders' }]))
  expect(error).toMatchObject({ code: 'INFRA_TEMPLATE_UNKNOWN', service: 'postgres' })
  expect(error.message).toBe(
    [
      'Cannot use template "oders": there are only "default", "orders"',
      'Add it to templates in infra.config.ts, or correct the name',
    ].join('\n'),
  )
})

/** Templates in the notation `name<from`. */
function templatesOf(...texts: readonly string[]): { name: string; from: string | undefined }[] {
  return texts.map((text) => {
    const [name = '', from] = text.split('<')
    return { name, from }
  })
}

test.for([
  [['default'], 'default'],
  [['a<b', 'b<default', 'default'], 'default b a'],
  [['c<b', 'default', 'b<a', 'a<default'], 'default a b c'],
  [['default', 'a<default', 'b<default'], 'default a b'],
  [['b<a', 'c<a', 'a<default', 'default', 'd<c'], 'default a b c d'],
] as const)('inOrderOfLayers() sorts %j', ([texts, names]) => {
  const ordered = inOrderOfLayers(templatesOf(...texts))
  expect(ordered.map(({ name }) => name).join(' ')).toBe(names)
})

test.for([
  [['default', 'a<a'], 'a', 'a ← a'],
  [['default', 'a<b', 'b<a'], 'a', 'a ← b ← a'],
  [['default', 'a<b', 'b<c', 'c<b'], 'b', 'a ← b ← c ← b'],
] as const)('inOrderOfLayers() rejects the cycle in %j', async ([texts, name, circle]) => {
  const error = await catchInfraError(() => inOrderOfLayers(templatesOf(...texts)))
  expect(error).toMatchObject({ code: 'INFRA_TEMPLATE_CYCLE', service: 'postgres' })
  expect(error.message).toBe(
    `Cannot build template "${name}": it is made from itself, ${circle}\nCorrect templates.${name}.from`,
  )
})
