import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { sweepSockets } from '../../../src/leasing/sweep-sockets.ts'

const LONG_AGO = new Date(Date.now() - 3_600_000)

async function createFolder(name: string): Promise<{ parent: string; socket: string }> {
  const parent = await mkdtemp(join(tmpdir(), 'sweep-sockets-'))
  onTestFinished(() => rm(parent, { recursive: true }))
  await mkdir(join(parent, name))
  return { parent, socket: join(parent, name, 'lease.sock') }
}

/** Leaves a socket as a process does that is killed. */
async function leaveSocket(path: string): Promise<void> {
  const script = `require('node:net').createServer().listen(process.argv[1], () => console.log('listening'))`
  const child = spawn(process.execPath, ['-e', script, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
}

test.skipIf(process.platform === 'win32')('the socket of a killed run is removed with its folder', async () => {
  const { parent, socket } = await createFolder('vitest-infra-killed')
  await leaveSocket(socket)
  await utimes(socket, LONG_AGO, LONG_AGO)
  await sweepSockets(parent)
  expect(await readdir(parent)).toEqual([])
})

test.skipIf(process.platform === 'win32')('the socket of a live run stays, however old', async () => {
  const { parent, socket } = await createFolder('vitest-infra-living')
  const server = createServer().listen(socket)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  await utimes(socket, LONG_AGO, LONG_AGO)
  await sweepSockets(parent)
  expect(await readdir(parent)).toEqual(['vitest-infra-living'])
})

test.skipIf(process.platform === 'win32')('a new socket and one of another owner stay', async () => {
  const { parent, socket } = await createFolder('vitest-infra-new')
  await leaveSocket(socket)
  await mkdir(join(parent, 'somebodys'))
  await leaveSocket(join(parent, 'somebodys', 'lease.sock'))
  await utimes(join(parent, 'somebodys', 'lease.sock'), LONG_AGO, LONG_AGO)
  await sweepSockets(parent)
  expect((await readdir(parent, { recursive: true })).toSorted()).toEqual([
    'somebodys',
    'somebodys/lease.sock',
    'vitest-infra-new',
    'vitest-infra-new/lease.sock',
  ])
})

test.skipIf(process.platform === 'win32')('other files in the folder stay', async () => {
  const { parent, socket } = await createFolder('vitest-infra-killed')
  await leaveSocket(socket)
  await utimes(socket, LONG_AGO, LONG_AGO)
  await writeFile(join(parent, 'vitest-infra-killed', 'notes.txt'), '')
  await sweepSockets(parent)
  expect(await readdir(join(parent, 'vitest-infra-killed'))).toEqual(['notes.txt'])
})
