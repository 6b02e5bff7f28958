import { expect, test } from 'vitest'
import { allPassed, EXAMPLES, runExample } from './run-example.ts'

test.each(EXAMPLES)('%s passes with its own provider', async (name) => {
  const { exitCode, output } = await runExample(name)
  expect(output).toMatch(allPassed(name))
  expect(exitCode).toBe(0)
})
