import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { withPostgres } from '../../../src/services/postgres.ts'
import { leftOfSupervisors, listProcesses, type MachineProcess } from '../../support/left-of-supervisors.ts'
import { EmbeddedProcess } from '../../support/start-embedded-process.ts'

vi.setConfig({ testTimeout: 60_000 })

async function descendants(pid: number): Promise<readonly MachineProcess[]> {
  const all = await listProcesses()
  const below = (parent: number): MachineProcess[] =>
    all.filter((one) => one.parent === parent).flatMap((one) => [one, ...below(one.pid)])
  return below(pid)
}

async function stillThere(pids: readonly number[]): Promise<readonly string[]> {
  const all = await listProcesses()
  return all.filter(({ pid, command }) => pids.includes(pid) && command !== '').map(({ command }) => command)
}

/** PostgreSQL's shared memory outside the data directory, except what existed before. */
async function sharedMemory(before: readonly string[] = []): Promise<readonly string[]> {
  return (await readdir('/dev/shm')).filter((name) => name.startsWith('PostgreSQL.') && !before.includes(name))
}

const PATIENCE = { timeout: 10_000 }

test('a killed run leaves neither a process nor a file, whatever its servers do', async () => {
  const run = new EmbeddedProcess()
  const { postgres } = await run.up()
  const sleeping = withPostgres(postgres, (client) => client.query('SELECT pg_sleep(60)')).catch(() => {})
  const pids = (await descendants(run.pid)).map(({ pid }) => pid)
  // The supervisor, PostgreSQL with its own processes, Redis and one for each lease.
  expect(pids.length).toBeGreaterThan(6)
  run.child.kill('SIGKILL')
  await once(run.child, 'exit')
  await sleeping
  await expect.poll(() => stillThere(pids), PATIENCE).toEqual([])
  await expect.poll(() => leftOfSupervisors(run.pid), PATIENCE).toEqual([])
})

test.for([0, 30, 80, 150, 300, 600])('a run killed %d ms after its start leaves nothing', async (delayMs) => {
  const before = await sharedMemory()
  const run = new EmbeddedProcess({ options: { postgres: { initdbArgs: `--wal-segsize=1` } } })
  await expect.poll(() => descendants(run.pid), { ...PATIENCE, interval: 5 }).not.toEqual([])
  await sleep(delayMs)
  const pids = (await descendants(run.pid)).map(({ pid }) => pid)
  run.child.kill('SIGKILL')
  await once(run.child, 'exit')
  await expect.poll(() => stillThere(pids), PATIENCE).toEqual([])
  await expect.poll(() => leftOfSupervisors(run.pid), PATIENCE).toEqual([])
  await expect.poll(() => sharedMemory(before), PATIENCE).toEqual([])
})

test('a supervisor stopped by a signal stops its servers', async () => {
  const run = new EmbeddedProcess()
  await run.up()
  const processes = await descendants(run.pid)
  const supervisor = processes.find(({ command }) => command.includes('supervisor-process'))
  process.kill(supervisor?.pid ?? Number.NaN, 'SIGTERM')
  await expect.poll(() => stillThere(processes.map(({ pid }) => pid)), PATIENCE).toEqual([])
})

test.for([
  { what: 'their supervisor' },
  // As killall does it to all that is Node's.
  { what: 'their supervisor with its run', isRunKilled: true },
  { what: 'the supervisor of frozen ones', isFrozen: true },
])('servers exit and their files are removed if $what is killed', async ({ isRunKilled, isFrozen }) => {
  const run = new EmbeddedProcess()
  await run.up()
  const [supervisor, ...others] = await descendants(run.pid)
  const servers = others.filter(({ folder }) => folder.includes(`-${supervisor?.pid}-`))
  expect(servers.length).toBeGreaterThan(4)
  if (isFrozen) {
    servers.forEach(({ pid }) => process.kill(pid, 'SIGSTOP'))
  }
  if (isRunKilled) {
    run.child.kill('SIGKILL')
  }
  process.kill(supervisor?.pid ?? Number.NaN, 'SIGKILL')
  await expect.poll(() => stillThere(others.map(({ pid }) => pid)), PATIENCE).toEqual([])
  await expect.poll(() => leftOfSupervisors(run.pid), PATIENCE).toEqual([])
})

test('files of a supervisor killed with its children are removed by the next run', async () => {
  const run = new EmbeddedProcess({ options: { services: ['redis'] } })
  await run.up()
  const [supervisor] = await descendants(run.pid)
  process.kill(supervisor?.pid ?? Number.NaN, 'SIGSTOP')
  // A process that was just starting appears a moment later; one that can no longer clean up has no command.
  const endServers = async () => {
    const servers = (await descendants(supervisor?.pid ?? Number.NaN)).filter(({ command }) => command !== '')
    servers.forEach(({ pid }) => process.kill(pid, 'SIGKILL'))
    return servers
  }
  await expect.poll(endServers, PATIENCE).toEqual([])
  process.kill(supervisor?.pid ?? Number.NaN, 'SIGKILL')
  const left = async () => (await leftOfSupervisors(run.pid)).filter((name) => name.includes(`-${supervisor?.pid}-`))
  await expect.poll(left, PATIENCE).toHaveLength(1)
  const next = new EmbeddedProcess({ options: { services: ['redis'] } })
  await next.up()
  expect(await left()).toEqual([])
})

test('a run that ends normally leaves nothing, not even in shared memory', async () => {
  const before = await sharedMemory()
  const run = new EmbeddedProcess()
  await run.up()
  expect(await sharedMemory(before)).toEqual([])
  await run.end()
  expect(await leftOfSupervisors(run.pid)).toEqual([])
})
