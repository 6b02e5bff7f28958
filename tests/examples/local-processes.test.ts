import { expect, test } from 'vitest'
import { allPassed, EXAMPLES, runExample } from './run-example.ts'

test.each(EXAMPLES)('%s passes on local processes, without a container engine', async (name) => {
  const { exitCode, output } = await runExample(name, {
    VITEST_INFRA_PROVIDER: 'embedded',
    DOCKER_HOST: 'unix:///nowhere.sock',
  })
  expect(output).toMatch(/^infra {2}Local processes, .*\(as asked for\)$/m)
  expect(output).toMatch(allPassed(name))
  expect(exitCode).toBe(0)
})
