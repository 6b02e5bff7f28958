import { expect, test } from 'vitest'
import { defineInfra, type InfraOptions, mergeOptions } from '../../../src/config/infra-options.ts'

test('defineInfra() returns its argument', () => {
  const options = { postgres: { image: 'postgres:17' } }
  expect(defineInfra(options)).toBe(options)
})

test('mergeOptions() prefers the second: service by service, key by key, template by template', () => {
  const base: InfraOptions = {
    provider: 'docker',
    startupTimeoutMs: 10_000,
    labels: { a: '1', b: '1' },
    postgres: { image: 'postgres:17', user: 'shop' },
    redis: { args: ['--save'] },
    templates: { orders: { seeds: 'a', extensions: ['citext'] }, customers: { seeds: 'b' } },
  }
  const override: InfraOptions = {
    startupTimeoutMs: 20_000,
    labels: { b: '2', c: '2' },
    postgres: { image: 'postgres:18', seeds: ['x'] },
    templates: { orders: { seeds: 'c' } },
  }
  expect(mergeOptions(base, override)).toEqual({
    provider: 'docker',
    startupTimeoutMs: 20_000,
    labels: { a: '1', b: '2', c: '2' },
    postgres: { image: 'postgres:18', user: 'shop', seeds: ['x'] },
    redis: { args: ['--save'] },
    templates: { orders: { seeds: 'c' }, customers: { seeds: 'b' } },
  })
})

test('mergeOptions() replaces lists', () => {
  const merged = mergeOptions(
    { services: ['postgres', 'redis'], postgres: { seeds: ['a', 'b'] } },
    { services: ['postgres'], postgres: { seeds: ['c'] } },
  )
  expect(merged).toEqual({ services: ['postgres'], postgres: { seeds: ['c'] } })
})

test.for(['postgres', 'redis', 'labels'] as const)('mergeOptions() accepts %s from either side alone', (key) => {
  const given: InfraOptions = { [key]: { image: 'x' } }
  expect(mergeOptions(given, {})).toEqual(given)
  expect(mergeOptions({}, given)).toEqual(given)
})

test('mergeOptions() changes neither of its arguments', () => {
  const base: InfraOptions = { labels: { a: '1' }, postgres: { user: 'a' }, redis: { args: [] } }
  const override: InfraOptions = { labels: { a: '2' }, postgres: { user: 'b' }, redis: { args: ['c'] } }
  const before = structuredClone([base, override])
  mergeOptions(base, override)
  expect([base, override]).toEqual(before)
})

// infra({ postgres: process.env.CI ? { … } : undefined }) must not wipe out what infra.config.ts says.
test('mergeOptions() treats undefined as not given', () => {
  const base: InfraOptions = { provider: 'docker', labels: { a: '1' }, postgres: { user: 'shop' }, redis: { port: 1 } }
  const override = { provider: undefined, labels: undefined, postgres: undefined, redis: { port: undefined } }
  expect(mergeOptions(base, override)).toEqual(base)
})
