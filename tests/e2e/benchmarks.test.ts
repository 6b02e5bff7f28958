import { describe, expect, inject, test } from 'vitest'
import { runVitest } from './support/run-vitest.ts'

describe.each(inject('consumers'))('$name', (consumer) => {
  test('vitest bench has environment and facts, from one stack', async () => {
    const run = await runVitest('benchmarks', { consumer, args: ['bench', '--run', `vitest-${consumer.vitestMajor}`] })
    expect(run.stdout).toContain('environment and facts agree: true')
    expect(run.stdout).toContain(
      `✓ ${consumer.vitestMajor === 5 ? '|bench| ' : ''}vitest-${consumer.vitestMajor}.bench.ts`,
    )
    expect(run).toMatchObject({ exitCode: 0, created: ['redis'] })
  })
})
