import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { describe, expect, inject, test } from 'vitest'
import { startVitest, type VitestRun } from './support/run-vitest.ts'

const FAILING = (round: string, outcome: string) => `
  import { expect } from 'vitest'
  import { test } from 'vitest-infra/test'
  import { addCustomer, pool } from '../src/app.ts'
  test('fails', async ({ database }) => {
    await addCustomer('Ada in the file')
    await database.pool.query("INSERT INTO customers VALUES ('Ada in the test')")
    expect('${round}').toBe(${outcome})
    await pool.end()
  })`

const CONFIG = `
  import { infra } from 'vitest-infra/plugin'
  export default { plugins: [infra({ services: ['postgres'], postgres: { user: 'shop', password: 'a long secret' } })] }`

/** The printed commands, by the owner of the database. */
function commandsIn({ stdout }: VitestRun): Record<string, string> {
  const text = stripVTControlCharacters(stdout).replaceAll('\r', '')
  const found = text.matchAll(/^infra {2}the database of (.+) stays until the tests run again: (docker exec .+)$/gm)
  return Object.fromEntries([...found].map(([, owner = '', command = '']) => [owner, command]))
}

/** Types a command, with a statement for psql to run. */
function type(command: string, sql: string): Promise<string> {
  const words = command.replace('exec -it', 'exec -i').split(' ')
  return new Promise((resolve) =>
    execFile(words[0] ?? '', [...words.slice(1), '-Atc', sql], (_error, stdout, stderr) =>
      resolve(stdout.trim() + stderr.trim()),
    ),
  )
}

describe.each(inject('consumers'))('$name', (consumer) => {
  test('watch mode retains the databases of a failed test until the rerun and says how to connect', async () => {
    const run = await startVitest('failures', {
      consumer,
      args: ['watch', 'kept'],
      terminal: true,
      files: { 'vitest.config.ts': CONFIG, 'test/kept.test.ts': FAILING('first', "'another'") },
    })
    await run.said('Watching for file changes')
    const first = commandsIn(run)
    expect(Object.keys(first)).toEqual(['test/kept.test.ts > fails', 'test/kept.test.ts'])
    const [ofTest = '', ofFile = ''] = Object.values(first)
    const names = 'SELECT string_agg(name, $$,$$) FROM customers'
    expect(await Promise.all([type(ofTest, names), type(ofFile, names)])).toEqual([
      'Ada in the test',
      'Ada in the file',
    ])
    expect(run.stdout).not.toContain('a long secret')

    await run.write('test/kept.test.ts', FAILING('second', "'second'"))
    await run.said('Waiting for file changes')
    await expect.poll(() => type(ofTest, names)).toContain('does not exist')
    await expect.poll(() => type(ofFile, names)).toContain('does not exist')
    expect(commandsIn(run)).toEqual(first)

    run.type('q')
    await run.ended
  })

  test('watch mode reports leaked connections after each run, and the rest at the end', async () => {
    const run = await startVitest('isolation-leaks', { consumer, args: ['watch', 'leaky'], terminal: true })
    const left = 'infra  test/leaky.test.ts left 3 connections open'
    await run.said('Waiting for file changes')
    expect(run.stdout).toContain(left)
    expect(run.stdout).not.toContain('leases, waited')
    await run.write('test/leaky.test.ts', await readFile(join(run.folder, 'test/leaky.test.ts'), 'utf8'))
    await run.said(left, 2)
    await run.said('Waiting for file changes', 2)
    run.type('q')
    const { stdout } = await run.ended
    expect(stdout.match(/\d+ leases?, waited/g)).toHaveLength(1)
    expect(stdout.match(/left 3 connections open/g)).toHaveLength(2)
  })

  test.for([
    ['--silent=true', {}],
    ['--run', { CI: 'true' }],
  ] as const)(
    '%s and CI summarize a run in one line and still name files that leak connections',
    async ([option, env]) => {
      const run = await startVitest('isolation-leaks', { consumer, args: ['run', option, 'leaky'], env })
      const { stderr } = await run.ended
      expect(stderr).toMatchInlineSnapshot(`
      "infra  Docker Engine <version> at <host> (<source>)
      infra  postgres <version> after <time>, 1 template, 1 lease
      infra  test/leaky.test.ts left 3 connections open: "api" (2), "reports" (1)"
    `)
    },
  )
})
