import { expect, test } from 'vitest'
import { EnvironmentPatch } from '../../../src/environment/environment-patch.ts'

test('EnvironmentPatch.apply() sets new and existing variables', () => {
  const target: Record<string, string | undefined> = { PATH: '/bin', DB_HOST: 'prod' }
  new EnvironmentPatch(target).apply({ DB_HOST: 'localhost', DB_PORT: '1' })
  expect(target).toEqual({ PATH: '/bin', DB_HOST: 'localhost', DB_PORT: '1' })
})

test('EnvironmentPatch.restore() leaves no trace', () => {
  const target: Record<string, string | undefined> = { PATH: '/bin', DB_HOST: 'prod', EMPTY: '' }
  const patch = new EnvironmentPatch(target)
  patch.apply({ DB_HOST: 'localhost', DB_PORT: '1', EMPTY: 'no' })
  patch.restore()
  expect(target).toStrictEqual({ PATH: '/bin', DB_HOST: 'prod', EMPTY: '' })
})

test('EnvironmentPatch.restore() undoes several changes', () => {
  const target: Record<string, string | undefined> = { DB_HOST: 'prod' }
  const patch = new EnvironmentPatch(target)
  patch.apply({ DB_HOST: 'one', DB_PORT: '1' })
  patch.apply({ DB_HOST: 'two', DB_PORT: '2' })
  expect(target).toEqual({ DB_HOST: 'two', DB_PORT: '2' })
  patch.restore()
  expect(target).toStrictEqual({ DB_HOST: 'prod' })
})

test('EnvironmentPatch.restore() does nothing the second time', () => {
  const target: Record<string, string | undefined> = { DB_HOST: 'prod' }
  const patch = new EnvironmentPatch(target)
  patch.apply({ DB_HOST: 'one' })
  patch.restore()
  target.DB_HOST = 'later'
  patch.restore()
  expect(target).toEqual({ DB_HOST: 'later' })
})

test('EnvironmentPatch can be applied again after restore()', () => {
  const target: Record<string, string | undefined> = { DB_HOST: 'prod' }
  const patch = new EnvironmentPatch(target)
  patch.apply({ DB_HOST: 'one' })
  patch.restore()
  target.DB_HOST = 'later'
  patch.apply({ DB_HOST: 'two' })
  patch.restore()
  expect(target).toEqual({ DB_HOST: 'later' })
})

// process.env turns undefined into the text "undefined".
test('EnvironmentPatch.restore() removes variables from the real environment', () => {
  const patch = new EnvironmentPatch(process.env)
  patch.apply({ VITEST_INFRA_UNIT_TEST: 'set' })
  expect(process.env.VITEST_INFRA_UNIT_TEST).toBe('set')
  patch.restore()
  expect('VITEST_INFRA_UNIT_TEST' in process.env).toBe(false)
})

test('EnvironmentPatch removes variables that override PGHOST and restores them', () => {
  const target: Record<string, string | undefined> = { PGHOSTADDR: '10.0.0.1', PGSERVICE: 'prod', PGSSLMODE: 'prefer' }
  const patch = new EnvironmentPatch(target)
  patch.apply({ PGHOST: 'localhost' })
  expect(target).toStrictEqual({ PGHOST: 'localhost', PGSSLMODE: 'prefer' })
  patch.restore()
  expect(target).toStrictEqual({ PGHOSTADDR: '10.0.0.1', PGSERVICE: 'prod', PGSSLMODE: 'prefer' })
})
