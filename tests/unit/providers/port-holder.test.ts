import { once } from 'node:events'
import { type AddressInfo, createServer, type ListenOptions, type Server } from 'node:net'
import { basename } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { findListeningProcess } from '../../../src/providers/listening-process.ts'
import { assertPortFree } from '../../../src/providers/port-holder.ts'

/** Holds a port until the test has finished; a free one unless the options name it. */
async function hold(options: ListenOptions): Promise<number> {
  const server = createServer()
  await once(server.listen({ port: 0, ...options }), 'listening')
  onTestFinished(() => close(server))
  return portOf(server)
}

async function freePort(): Promise<number> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const port = portOf(server)
  await close(server)
  return port
}

const portOf = (server: Server) => (server.address() as AddressInfo).port
const close = async (server: Server) => void (await once(server.close(), 'close'))
const wanted = { host: '127.0.0.1', service: 'postgres', variable: 'POSTGRES_PORT' }
const canBeKnown = process.platform === 'linux' || process.platform === 'darwin'

test('assertPortFree() accepts a free port and leaves it free', async () => {
  const port = await freePort()
  await expect(assertPortFree({ ...wanted, port })).resolves.toBeUndefined()
  await expect(assertPortFree({ ...wanted, port })).resolves.toBeUndefined()
})

test.each(['127.0.0.1', '0.0.0.0', '::', '::1'])('assertPortFree() notices a server on %s', async (host) => {
  const port = await hold({ host })
  await expect(assertPortFree({ ...wanted, port })).rejects.toMatchObject({ code: 'INFRA_PORT_TAKEN' })
})

test.each(['127.0.0.1', '0.0.0.0'])('assertPortFree() for %s notices an IPv6-only wildcard', async (host) => {
  const port = await hold({ host: '::', ipv6Only: true })
  await expect(assertPortFree({ ...wanted, host, port })).rejects.toMatchObject({ code: 'INFRA_PORT_TAKEN' })
})

test.runIf(process.platform === 'linux')('assertPortFree() names the process that holds the port', async () => {
  const port = await hold({ host: '127.0.0.1' })
  const name = basename(process.execPath)
  await expect(assertPortFree({ ...wanted, port })).rejects.toThrow(
    `Cannot publish service "postgres" on 127.0.0.1:${port}: the port is held by ${name} (pid ${process.pid})\n` +
      "Stop it, set POSTGRES_PORT to a free port, or leave postgres.port at 'random'",
  )
})

test('assertPortFree() names the container that holds the port', async () => {
  const port = await hold({ host: '0.0.0.0' })
  const containersPublishing = async (asked: number) => (asked === port ? ['shop-db-1'] : [])
  await expect(assertPortFree({ host: '127.0.0.1', service: 'redis', port, containersPublishing })).rejects.toThrow(
    `Cannot publish service "redis" on 127.0.0.1:${port}: the port is held by container "shop-db-1"\n` +
      "Stop it, or leave redis.port at 'random'",
  )
})

test('assertPortFree() names a holder even if the engine does not answer', async () => {
  const port = await hold({ host: '127.0.0.1' })
  const containersPublishing = (asked: number) =>
    Promise.reject(new Error(`engine gone, asked for ${asked} of ${port}`))
  await expect(assertPortFree({ ...wanted, port, containersPublishing })).rejects.toThrow('the port is held by')
})

test.runIf(canBeKnown)('findListeningProcess() finds a server of this process', async () => {
  const port = await hold({ host: '127.0.0.1' })
  expect(await findListeningProcess(port, process.platform)).toMatchObject({ pid: process.pid })
})

test('findListeningProcess() returns nothing for a port without a listener', async () => {
  const port = await freePort()
  expect(await findListeningProcess(port, process.platform)).toBeUndefined()
  expect(await findListeningProcess(port, 'darwin')).toBeUndefined()
  expect(await findListeningProcess(port, 'aix')).toBeUndefined()
})
