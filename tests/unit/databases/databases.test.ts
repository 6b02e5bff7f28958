import { expect, test } from 'vitest'
import { Databases } from '../../../src/databases/databases.ts'
import type { TemplateSource } from '../../../src/databases/templates.ts'
import { FakeClock } from '../support/fake-clock.ts'

function createTemplates(version: number, ensured = Promise.resolve()): TemplateSource {
  const databaseOf = (name: string) => `${name}_v${version}`
  return { databaseOf, ensure: (name) => ensured.then(() => databaseOf(name)) }
}

function createDatabases(templates: TemplateSource, createDatabase: (name: string) => Promise<void> = async () => {}) {
  const sources = new Map<string, string | undefined>()
  const databases = new Databases({
    admin: {
      async createDatabase(name, template) {
        await createDatabase(name)
        sources.set(name, template)
      },
      dropDatabase: async () => true,
      sessionsOf: async () => [],
      useOf: async () => 'used',
    },
    templates,
    runId: 'run',
    target: 0,
    clock: new FakeClock(),
    reset: async () => {},
  })
  return { databases, sources }
}

test('requests during a refresh of the templates are granted', async () => {
  const creating = Promise.withResolvers<void>()
  const { databases, sources } = createDatabases(createTemplates(1), () => creating.promise)
  const before = databases.acquire({ template: 'default', reuse: false })
  await new Promise(setImmediate)
  const refreshed = databases.useTemplates(createTemplates(2))
  const during = [1, 2, 3].map(() => databases.acquire({ template: 'default', reuse: false }))
  await new Promise(setImmediate)
  creating.resolve()
  await refreshed
  expect(sources.get(await before)).toBe('default_v1')
  const names = await Promise.all(during)
  expect(names.map((name) => sources.get(name))).toEqual(['default_v2', 'default_v2', 'default_v2'])
})

test('a template that cannot be built rejects its requests, not the refresh', async () => {
  const building = Promise.withResolvers<void>()
  const { databases, sources } = createDatabases(createTemplates(1, building.promise))
  const first = databases.acquire({ template: 'default', reuse: false })
  const refreshed = databases.useTemplates(createTemplates(2))
  const second = databases.acquire({ template: 'default', reuse: false })
  building.reject(new Error('its SQL is wrong'))
  await expect(first).rejects.toThrow('its SQL is wrong')
  await refreshed
  expect(sources.get(await second)).toBe('default_v2')
  // The failure of the old pool has not removed the new one.
  expect(await databases.acquire({ template: 'default', reuse: false })).toMatch(/_2_2$/)
})
