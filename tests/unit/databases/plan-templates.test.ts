import { join } from 'node:path'
import { expect, test } from 'vitest'
import { planTemplates } from '../../../src/databases/plan-templates.ts'
import type { Seed } from '../../../src/config/infra-options.ts'

const root = join(import.meta.dirname, '../../..')

function template(name: string, from: string | undefined, seeds: readonly Seed[]) {
  return { name, from, extensions: ['citext'], migrations: [], seeds }
}

async function repeatableOf(templates: readonly ReturnType<typeof template>[]): Promise<readonly string[]> {
  const plans = planTemplates(templates, root)
  return plans.filter(({ isRepeatable }) => isRepeatable).map(({ name }) => name)
}

const bare = async (): Promise<void> => {}

test('planTemplates() calls a template repeatable whose steps all have a key', async () => {
  const step = { name: 'step', key: 'one', files: ['package.json'], run: bare }
  expect(await repeatableOf([template('default', undefined, [step])])).toEqual(['default'])
})

test('planTemplates() calls no template repeatable with, or on top of, a function without a key', async () => {
  const layers = (seed: Seed) => [
    template('default', undefined, []),
    template('shop', 'default', [seed]),
    template('orders', 'shop', []),
  ]
  // But the steps before the function are.
  const repeatable = ['default', 'shop, without its functions']
  expect(await repeatableOf(layers(bare))).toEqual(repeatable)
  expect(await repeatableOf(layers({ name: 'step', files: [], run: bare }))).toEqual(repeatable)
  expect(await repeatableOf(layers({ name: 'step', files: ['package.json'], run: bare }))).toEqual(repeatable)
})

test('planTemplates() recognizes the same function and no other', () => {
  const users = (count: number) => async () => count
  const inputsOf = (seed: Seed) => planTemplates([template('default', undefined, [seed])], root).at(-1)?.inputs
  const one = users(1)
  const step = { name: 'users', files: [], run: one }
  expect(inputsOf(one)).toBe(inputsOf(one))
  expect(inputsOf(step)).toBe(inputsOf({ ...step }))
  const others = [one, users(1), users(2), users.bind(undefined, 1), users.bind(undefined, 2)]
  expect(new Set(others.map(inputsOf)).size).toBe(others.length)
})

test('planTemplates() identifies a step with a key by name, key, text and files', () => {
  const users = (count: number) => async () => count
  const inputsOf = (seed: Seed) => planTemplates([template('default', undefined, [seed])], root).at(-1)?.inputs
  const step = { name: 'users', key: 'a', files: ['package.json'], run: users(1) }
  expect(inputsOf({ ...step, run: users(2) })).toBe(inputsOf(step))
  const others = [
    step,
    { ...step, name: 'orders' },
    { ...step, key: 'b' },
    { ...step, files: ['tsconfig.json'] },
    { ...step, run: bare },
  ]
  expect(new Set(others.map(inputsOf)).size).toBe(others.length)
})
