import { spawnSync } from 'node:child_process'
import { chmod, chown, cp, lstat, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { findAccount } from '../../../src/providers/embedded/account.ts'
import { ensureBinaries } from '../../../src/providers/embedded/ensure-binaries.ts'
import { findPostgres, type PostgresPackage } from '../../../src/providers/embedded/find-postgres.ts'
import type { Account } from '../../../src/providers/embedded/supervisor-protocol.ts'
import { withPostgres } from '../../../src/services/postgres.ts'
import { listProcesses } from '../../support/left-of-supervisors.ts'
import { EmbeddedProcess } from '../../support/start-embedded-process.ts'

vi.setConfig({ testTimeout: 60_000 })

const isRoot = userInfo().uid === 0
/** Debian's "nobody"; root's servers run as "postgres", where there is one. */
const IS_CLIENT: Account = { uid: 65_534, gid: 65_534 }
/** Without an entry in /etc/passwd, as containers often run. */
const NAMELESS: Account = { uid: 54_321, gid: 54_321 }

async function ownFolder(account: Account = { uid: userInfo().uid, gid: userInfo().gid }): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'embedded-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await chown(folder, account.uid, account.gid)
  return folder
}

/** A project that has installed the binaries without running install scripts. */
async function projectWithoutLinks(): Promise<string> {
  const project = await ownFolder()
  await chmod(project, 0o755)
  const { native, name } = installed()
  const target = join(project, 'node_modules', name)
  await mkdir(dirname(target), { recursive: true })
  await cp(dirname(native), target, {
    recursive: true,
    filter: async (path) => !(await lstat(path)).isSymbolicLink(),
  })
  return project
}

function installed(root: string = import.meta.dirname): PostgresPackage {
  const found = findPostgres({ root, platform: process.platform, architecture: process.arch })
  if ('install' in found) {
    throw new Error(found.reason)
  }
  return found
}

function versionOf(binaries: string, account: Account | undefined): string {
  const { stdout, stderr } = spawnSync(join(binaries, 'bin/postgres'), ['--version'], {
    ...account,
    cwd: '/',
    encoding: 'utf8',
  })
  return `${stdout}${stderr}`.trim()
}

/** The user of each server process below a process: those with the supervisor's folder, unlike the waiting shell. */
async function usersBelow(pid: number): Promise<readonly string[]> {
  const all = await listProcesses()
  const supervisor = all.find(({ parent }) => parent === pid)
  const servers = all.filter(
    ({ parent, folder }) => parent === supervisor?.pid && folder.includes(`-${supervisor.pid}-`),
  )
  const states = await Promise.all(servers.map((server) => readFile(`/proc/${server.pid}/status`, 'utf8')))
  return [...new Set(states.map((state) => /^Uid:\t(\d+)/m.exec(state)?.[1] ?? ''))]
}

test.runIf(isRoot)('servers started by root run as an unprivileged user', async () => {
  const run = new EmbeddedProcess()
  await run.up()
  const account = await findAccount()
  expect(await usersBelow(run.pid)).toEqual([String((account as Account).uid)])
})

test('servers of another user run as that user, with data that only that user can read', async () => {
  const account = isRoot ? IS_CLIENT : { uid: userInfo().uid, gid: userInfo().gid }
  const home = await ownFolder(account)
  const run = new EmbeddedProcess({ environment: { HOME: home }, ...(isRoot && { account }) })
  const { postgres } = await run.up()
  expect(await usersBelow(run.pid)).toEqual([String(account.uid)])
  const { rows } = await withPostgres(postgres, (client) => client.query('SHOW data_directory'))
  expect((await lstat(rows[0].data_directory as string)).mode & 0o077).toBe(0)
})

test.runIf(isRoot)('a user unknown to the system gets an error that PostgreSQL cannot run', async () => {
  const run = new EmbeddedProcess({ environment: { HOME: await ownFolder(NAMELESS) }, account: NAMELESS })
  await expect(run.up()).rejects.toThrow(
    'Cannot use the provider "embedded": postgres: user 54321 has no name on this system, which PostgreSQL asks for\n',
  )
})

test('missing library links are created in the package', async () => {
  const project = await projectWithoutLinks()
  const found = installed(project)
  expect(found.native).toContain(project)
  const account = await findAccount()
  expect(versionOf(found.native, account as Account | undefined)).toMatch(/cannot open shared object/)
  const binaries = await ensureBinaries(found, { account: account as Account | undefined, caches: [] })
  expect(binaries).toBe(found.native)
  expect(versionOf(binaries, account as Account | undefined)).toMatch(/^postgres \(PostgreSQL\) 18/)
})

test.runIf(isRoot)('a stack starts with a read-only node_modules and without install scripts', async () => {
  const project = await projectWithoutLinks()
  const home = await ownFolder(IS_CLIENT)
  const run = new EmbeddedProcess({ folder: project, environment: { HOME: home }, account: IS_CLIENT })
  const { postgres } = await run.up()
  expect(postgres.version).toMatch(/^18/)
  expect(await readdir(join(home, '.cache/vitest-infra/binaries'))).toHaveLength(1)
})

test.runIf(isRoot)('binaries that only root can read are copied for the servers', async () => {
  const project = await projectWithoutLinks()
  await chmod(project, 0o700)
  const [hidden, open] = [await ownFolder(), await ownFolder()]
  await chmod(open, 0o755)
  const binaries = await Promise.all(
    [1, 2, 3].map(() => ensureBinaries(installed(project), { account: IS_CLIENT, caches: [hidden, open] })),
  )
  expect(new Set(binaries).size).toBe(1)
  expect(binaries[0]).toContain(open)
  expect(versionOf(binaries[0] ?? '', IS_CLIENT)).toMatch(/^postgres \(PostgreSQL\) 18/)
  expect(await readdir(join(open, 'binaries'))).toHaveLength(1)
})
