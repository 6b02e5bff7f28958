import { describe, expect, inject, test } from 'vitest'
import { leftOfSupervisors, listProcesses } from '../support/left-of-supervisors.ts'
import { containerOf } from './support/containers.ts'
import { startVitest, type VitestRun } from './support/run-vitest.ts'

const LOSS = /^infra {2}Cannot go on with service "(\w+)": its server (.*), <time> after it was healthy$/gm

/** Kills the server of a service. */
async function kill(run: VitestRun, service: string): Promise<void> {
  await (await containerOf(run.project, service)).kill()
}

describe.each(inject('consumers'))('$name', (consumer) => {
  test.for(['postgres', 'redis'])(
    'the loss of %s during tests is reported once and fails the remaining tests',
    async (service) => {
      const run = await startVitest('service-lost', { consumer })
      await run.said('holding in test')
      await kill(run, service)
      await run.said('Cannot go on')
      await run.write('go', '')
      const { stdout, stderr, exitCode } = await run.ended
      expect(Array.from(stderr.matchAll(LOSS), ([, name, ending]) => [name, ending])).toEqual([
        [service, 'was killed by SIGKILL'],
      ])
      expect(stderr).toContain(`Last lines of the log of vitest-infra-<run>-${service}:\n`)
      expect(stderr).not.toMatch(/ECONNREFUSED|Connection is closed|terminated/)
      expect(stdout).toMatch(/Test Files {2}2 failed \(2\)/)
      expect(stdout).toContain('100 failed | 1 passed')
      expect(exitCode).toBe(1)
    },
  )

  test('a lost server fails the run even if no test needs it', async () => {
    const files = { 'test/first.test.ts': WAITS }
    const args = ['run', 'first']
    const run = await startVitest('service-lost', { consumer, args, files })
    await run.said('holding in the last test')
    await kill(run, 'redis')
    await run.said('Cannot go on')
    await run.write('end', '')
    expect(await run.ended).toMatchObject({ exitCode: 1 })
  })
})

describe.each(inject('newest'))('the newest Vitest', (consumer) => {
  test.for([
    ['postgres', 'docker'],
    ['redis', 'docker'],
    ['postgres', 'embedded'],
  ] as const)('with restart, the loss of %s (%s) fails the current file, and the next one passes', async (row) => {
    const [service, provider] = row
    const run = await startVitest('service-lost', {
      consumer,
      env: { VITEST_INFRA_PROVIDER: provider },
      files: { 'infra.config.ts': `export default { ${service}: { restart: true } }` },
    })
    await run.said('holding in test')
    await (provider === 'docker'
      ? kill(run, service)
      : localPostgres(run.pid).then((pid) => process.kill(pid, 'SIGKILL')))
    await run.said(', restarted')
    await run.write('go', '')
    const { stdout, stderr, exitCode } = await run.ended
    expect(Array.from(stderr.matchAll(LOSS), ([, name]) => name)).toEqual([service])
    expect(stderr).toContain('; the files that follow have a new server')
    expect(stdout).toMatch(/Test Files {2}1 failed \| 1 passed \(2\)/)
    expect(stdout).toContain('100 failed | 102 passed')
    expect(exitCode).toBe(1)
    await expect.poll(() => leftOfSupervisors(run.pid)).toEqual([])
  })

  test('a lost local process is reported like a lost container', async () => {
    const run = await startVitest('service-lost', { consumer, env: { VITEST_INFRA_PROVIDER: 'embedded' } })
    await run.said('holding in test')
    process.kill(await localPostgres(run.pid), 'SIGKILL')
    await run.said('Cannot go on')
    await run.write('go', '')
    const { stdout, stderr, exitCode } = await run.ended
    expect(Array.from(stderr.matchAll(LOSS), ([, name, ending]) => [name, ending])).toEqual([
      ['postgres', 'was killed by SIGKILL'],
    ])
    expect(stdout).toContain('100 failed | 1 passed')
    expect(exitCode).toBe(1)
    await expect.poll(() => leftOfSupervisors(run.pid)).toEqual([])
  })
})

const WAITS = `
  import { existsSync } from 'node:fs'
  import { setTimeout } from 'node:timers/promises'
  import { test } from 'vitest'
  test('waits', async () => {
    console.log('holding in the last test')
    while (!existsSync('end')) await setTimeout(20)
  })`

/** The first process of PostgreSQL that the supervisor of a run has started. */
async function localPostgres(run: number): Promise<number> {
  const processes = await listProcesses()
  const supervisors = processes.filter(
    ({ parent, command }) => parent === run && command.includes('supervisor-process'),
  )
  const isOurs = (parent: number) => supervisors.some(({ pid }) => pid === parent)
  const server = processes.find(({ parent, command }) => isOurs(parent) && command.includes('postgres'))
  return server?.pid ?? Promise.reject(new Error('The run has no PostgreSQL'))
}
