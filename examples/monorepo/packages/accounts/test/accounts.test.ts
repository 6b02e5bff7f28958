import { afterAll, expect, test } from 'vitest'
import { listAccounts, pool, register } from '../src/accounts.ts'

afterAll(() => pool.end())

test('the first account is the only one: the template of this project has no customers', async () => {
  await register('ada@example.org')

  expect(await listAccounts()).toEqual(['ada@example.org'])
})
