import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

import type { Lab } from './lab.ts'

/**
 * Runs `work` while no other lab of this clone is set up or taken down.
 *
 * The lock is a socket in Linux' abstract namespace. The kernel gives it to one process at a time and releases it
 * however that process exits, so no stale lock can remain.
 */
export async function withLock<T>(lab: Lab, work: () => Promise<T>): Promise<T> {
  // Elsewhere the lab sets nothing up that two could disturb.
  if (process.platform !== 'linux') return work()
  const name = `\0vitest-infra-lab-${lab.layout.id}`
  const lock = await acquire(lab, name)
  try {
    return await work()
  } finally {
    lock.release()
  }
}

interface Lock {
  release(): void
}

async function acquire(lab: Lab, name: string): Promise<Lock> {
  let announced = false
  for (;;) {
    lab.signal.throwIfAborted()
    const lock = await tryListen(name)
    if (lock !== undefined) return lock
    await waitForHolder(lab, name, (pid) => {
      if (!announced) lab.report.line(`waiting for another run of this clone's lab (process ${pid})`)
      announced = true
    })
  }
}

async function tryListen(name: string): Promise<Lock | undefined> {
  const waiting = new Set<Socket>()
  const server = createServer((socket) => {
    waiting.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => waiting.delete(socket))
    socket.write(String(process.pid))
  })
  try {
    server.listen(name)
    await once(server, 'listening')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') return undefined
    throw error
  }
  return {
    release() {
      server.close()
      // The waiting processes notice that their connections close.
      for (const socket of waiting) socket.destroy()
    },
  }
}

/** Resolves when the holder's end of the connection closes, which its death does too. */
async function waitForHolder(lab: Lab, name: string, onHolder: (pid: string) => void): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const socket = connect(name)
  socket.setEncoding('utf8')
  socket.on('data', onHolder)
  socket.on('error', () => {})
  socket.on('close', () => resolve())
  const stop = (): void => void socket.destroy()
  lab.signal.addEventListener('abort', stop)
  await promise
  lab.signal.removeEventListener('abort', stop)
}
