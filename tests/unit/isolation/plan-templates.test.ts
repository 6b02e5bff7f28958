import { join } from 'node:path'
import { expect, test } from 'vitest'
import { planTemplates } from '../../../src/isolation/plan-templates.ts'
import type { Seed } from '../../../src/spec/infra-options.ts'

const root = join(import.meta.dirname, '../../..')

function template(name: string, from: string | undefined, seeds: readonly Seed[]) {
  return { name, from, extensions: ['citext'], migrations: [], seeds }
}

async function repeatableOf(templates: readonly ReturnType<typeof template>[]): Promise<readonly string[]> {
  const plans = planTemplates(templates, root)
  return plans.filter(({ isRepeatable }) => isRepeatable).map(({ name }) => name)
}

const bare = async (): Promise<void> => {}

test('planTemplates() calls a template repeatable whose files are all named', async () => {
  const step = { name: 'step', files: ['package.json'], run: bare }
  expect(await repeatableOf([template('default', undefined, [step])])).toEqual(['default'])
})

test('planTemplates() calls no template repeatable that a function without files fills, nor what adds to it', async () => {
  const layers = (seed: Seed) => [
    template('default', undefined, []),
    template('shop', 'default', [seed]),
    template('orders', 'shop', []),
  ]
  expect(await repeatableOf(layers(bare))).toEqual(['default'])
  expect(await repeatableOf(layers({ name: 'step', files: [], run: bare }))).toEqual(['default'])
})
