import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { Queue, Worker } from 'bullmq'
import type { Redis } from 'ioredis'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { type Answer, encodeMessage, readMessages, RequestClient } from '../../../src/internal/requests.ts'
import type { LeaseMethods } from '../../../src/leasing/lease-client.ts'
import { describeRedis, openRedis, type RedisStack, startRedisStack, withoutPassword } from './redis-support.ts'

/** Writes continuously in a separate process. */
const WRITER = `
  import { Redis } from 'ioredis'
  const client = new Redis(Number(process.argv[1]), '127.0.0.1', { retryStrategy: () => Number(process.argv[2] ?? 50) })
  client.on('error', () => {}).on('ready', () => console.log('is connected'))
  await client.set('stray', 1)
  console.log('writes')
  setInterval(() => client.set('stray', 1).catch(() => {}), 5)`

describe.each(['docker', 'embedded'] as const)('%s', (provider) => {
  let stack: RedisStack

  beforeEach(async () => {
    stack = await startRedisStack({ seeds: [] }, import.meta.dirname, { provider })
    return () => stack.stop()
  })

  /** A file in a separate process, which exits with it. */
  async function beginFile(owner: string) {
    const socket = connect(stack.socket)
    onTestFinished(() => void socket.destroy())
    const requests = new RequestClient<LeaseMethods>({
      send: (request) => (socket.write(encodeMessage(request)), true),
      closed: { message: 'the connection has closed' },
    })
    readMessages(socket, (message) => requests.receive(message as Answer))
    const usual = { project: '', span: 'file', wants: ['redis'], template: '', reuse: false } as const
    const { lease, facts } = await requests.remote.acquire({ ...usual, owner })
    return {
      redis: facts.redis,
      finish: (processes: number[]) => requests.remote.finish(lease, owner, processes),
      end: () => void socket.destroy(),
    }
  }

  /** The data that consecutive files find on their servers, and the ports. */
  async function findInNextFiles(count: number): Promise<{ keys: string[]; ports: number[] }> {
    const keys: string[] = []
    const ports: number[] = []
    for (let file = 1; file <= count; file += 1) {
      const { redis, end } = await beginFile(`next-${file}.test.ts`)
      const client = openRedis(redis)
      ports.push(redis.port)
      // Long enough for a client that retries every few milliseconds.
      await client.blpop('nothing', 0.2)
      keys.push(...(await client.keys('*')))
      client.disconnect()
      end()
    }
    return { keys, ports }
  }

  const namedOwners = () => stack.events.flatMap((event) => (event.type === 'clients-left' ? [event.owner] : []))

  test('a process left running by a file writes into no other file, and the file is named', async () => {
    const { redis, end } = await beginFile('first.test.ts')
    const child = spawn(process.execPath, ['--input-type=module', '--eval', WRITER, String(redis.port)], {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    end()
    const { keys, ports } = await findInNextFiles(8)
    expect(keys).toEqual([])
    expect(ports).not.toContain(redis.port)
    await expect.poll(namedOwners).toEqual(['first.test.ts'])
  })

  test.for<[string, string[]]>([
    ['asks for a password', ['CONFIG', 'SET', 'requirepass', 'secret']],
    ['has no default user', ['ACL', 'SETUSER', 'default', 'off']],
    ['is gone', ['SHUTDOWN', 'NOSAVE']],
  ])('a process connected to a Redis that %s cannot reconnect later', async ([, command]) => {
    const { redis, end } = await beginFile('first.test.ts')
    // Longer than a server takes until it is leased again.
    const args = ['--input-type=module', '--eval', WRITER, String(redis.port), '3000']
    const child = spawn(process.execPath, args, { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    await expect.poll(() => output, { timeout: 10_000 }).toContain('writes')
    await openRedis(redis, { retryStrategy: () => null })
      .call(command[0] ?? '', ...command.slice(1))
      .catch(() => {})
    end()
    const before = await findInNextFiles(6)
    await expect.poll(() => output, { timeout: 10_000 }).toMatch(/writes\n(?:.*\n)*is connected/)
    const after = await findInNextFiles(6)
    expect([...before.keys, ...after.keys]).toEqual([])
    expect([...before.ports, ...after.ports]).not.toContain(redis.port)
    await expect.poll(namedOwners).toEqual(['first.test.ts'])
  })

  test('a process that connects long after its file has ended writes into no other file', async () => {
    const { redis, finish, end } = await beginFile('first.test.ts')
    const late = `await new Promise((resolve) => process.stdin.once('data', resolve))\n${WRITER}`
    const child = spawn(process.execPath, ['--input-type=module', '--eval', late, String(redis.port)], {
      cwd: import.meta.dirname,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    await finish([child.pid ?? 0])
    end()
    expect((await findInNextFiles(6)).ports).not.toContain(redis.port)
    expect(namedOwners()).toEqual([])
    child.stdin.write('now\n')
    await once(child.stdout, 'data')
    const { keys, ports } = await findInNextFiles(6)
    expect(keys).toEqual([])
    expect(ports).not.toContain(redis.port)
    await expect.poll(namedOwners).toEqual(['first.test.ts'])
  })

  test('files of one worker that all leave clients get separate servers equal to new ones', async () => {
    const fresh = withoutPassword(await describeRedis(openRedis(stack.main)))
    const ports = new Set<number>()
    // There are four servers for two workers.
    for (let file = 1; file <= 7; file += 1) {
      const lease = await stack.lease()
      const client = openRedis(lease.facts.redis)
      expect(await client.keys('*')).toEqual([])
      const before = await describeRedis(client)
      expect(withoutPassword(before)).toEqual(fresh)
      await client.config('SET', 'maxmemory', '1mb')
      await client.set('a', 1)
      await stack.leases.reset(lease.lease, 'the next test')
      expect(await describeRedis(client)).toEqual(before)
      await stack.leases.control(lease.lease, 'redis', 'restart')
      expect(await openRedis(lease.facts.redis).ping()).toBe('PONG')
      const writing = setInterval(() => void client.set(`stray-${file}`, 1).catch(() => {}), 5)
      onTestFinished(() => clearInterval(writing))
      ports.add(lease.facts.redis.port)
      await stack.leases.release(lease.lease)
    }
    expect(ports.size).toBe(7)
    const { keys } = await findInNextFiles(2)
    expect(keys).toEqual([])
  })

  test('an unclosed queue worker processes no job of another file', async () => {
    const taken: string[] = []
    const first = await stack.lease()
    const worker = new Worker('mails', async (job) => void taken.push(job.name), {
      connection: { host: first.facts.redis.host, port: first.facts.redis.port },
    })
    worker.on('error', () => {})
    onTestFinished(() => worker.close(true))
    await worker.waitUntilReady()
    await stack.leases.release(first.lease)
    for (let file = 1; file <= 6; file += 1) {
      const { redis, end } = await beginFile(`next-${file}.test.ts`)
      const queue = new Queue('mails', { connection: { host: redis.host, port: redis.port } })
      await queue.add(`of file ${file}`, {})
      // An idle worker takes a job at once.
      await openRedis(redis).blpop('nothing', 0.2)
      expect(await queue.getWaitingCount()).toBe(1)
      await queue.close()
      end()
    }
    expect(taken).toEqual([])
  })

  test.for<[string, (client: Redis, lease: number) => Promise<unknown>]>([
    ['was cut off', (client) => client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'no')],
    ['was cut off by a restart', (_, lease) => stack.leases.control(lease, 'redis', 'restart')],
  ])('a client that %s before its file ended cannot reconnect later', async ([, cutOff]) => {
    const { lease, facts } = await stack.lease()
    const { redis } = facts
    // Longer than a server takes until it is leased again.
    const client = openRedis(redis, { retryStrategy: () => 3_000 })
    await client.ping()
    const closed = once(client, 'close')
    await cutOff(client, lease)
    await closed
    await stack.leases.release(lease)
    const writing = setInterval(() => void client.set('stray', 1).catch(() => {}), 5)
    onTestFinished(() => clearInterval(writing))
    const before = await findInNextFiles(6)
    await expect.poll(() => client.status, { timeout: 10_000 }).toBe('ready')
    const after = await findInNextFiles(6)
    expect([...before.keys, ...after.keys]).toEqual([])
    expect([...before.ports, ...after.ports]).not.toContain(redis.port)
    await expect.poll(namedOwners).toEqual(['the test'])
  })

  test('a port without connection attempts is reused, and no file is named', async () => {
    const { ports } = await findInNextFiles(12)
    expect(new Set(ports).size).toBeLessThanOrEqual(4)
    expect(namedOwners()).toEqual([])
  })
})
