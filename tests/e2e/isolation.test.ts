import { describe, expect, inject, test } from 'vitest'
import { runVitest } from './support/run-vitest.ts'

const FILES = 40

/** Forty files that do the same with the same names. */
const files = Object.fromEntries(
  Array.from({ length: FILES }, (_, index) => [
    `test/file-${index}.test.ts`,
    `import { ownWorld } from '../src/own-world.ts'\nownWorld('${index}')\n`,
  ]),
)

describe.each(inject('consumers'))('$name', (consumer) => {
  test.for(['forks', 'threads', 'vmForks', 'vmThreads'])('forty files see only their own in %s', async (pool) => {
    const run = await runVitest('isolation', { consumer, args: ['run', `--pool=${pool}`], files })
    expect(run.stdout).toContain(`Test Files  ${FILES} passed (${FILES})`)
    expect(run.stdout).toContain(`Tests  ${FILES * 5} passed (${FILES * 5})`)
    expect(run.stderr).not.toContain('Error')
    expect(run).toMatchObject({ exitCode: 0, created: ['postgres', 'redis'] })
  })
})
