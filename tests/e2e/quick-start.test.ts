import { readFile } from 'node:fs/promises'
import { expect, inject, test } from 'vitest'
import { sortedLines } from './support/plain.ts'
import { runVitest } from './support/run-vitest.ts'

const README = new URL('../../README.md', import.meta.url)

test("the README's quick start runs as written, without warnings", async () => {
  const readme = await readFile(README, 'utf8')
  const quickStart = readme.split('\n## ').find((section) => section.startsWith('Quick start')) ?? ''
  // Each file's block begins with its name in a comment.
  const blocks = quickStart.matchAll(/^```\w+\n(?:\/\/|--) (\S+)\n(.*?)^```$/gms)
  const files = Object.fromEntries([...blocks].map(([, path = '', text = '']) => [path, text]))
  expect(Object.keys(files)).toEqual([
    'vitest.config.ts',
    'fixtures/postgres/migrations/001_visits.sql',
    'visits.test.ts',
  ])

  const run = await runVitest('quick-start', { consumer: inject('consumer'), files })
  expect(run.stdout).toContain('Tests  1 passed (1)')
  expect(sortedLines(run.stderr)).toMatchInlineSnapshot(`
    "infra  1 lease, waited <time>
    infra  Docker Engine <version> at <host> (<source>)
    infra  postgres <version> healthy after <time>, redis <version> healthy after <time>
    infra  template "default" built in <time>"
  `)
  expect(run.exitCode).toBe(0)
})
