import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseEngineAddress } from '../../../../../src/providers/docker/engine/engine-address.ts'
import { probeEngine } from '../../../../../src/providers/docker/engine/probe-engine.ts'
import { answer, hangUp, listenOn, staySilent } from '../support/socket-server.ts'
import { createHome } from '../support/temporary-home.ts'

async function probe(prepare: (path: string) => Promise<void>): Promise<string> {
  const path = join(await createHome(), 'e.sock')
  await prepare(path)
  const address = parseEngineAddress(`unix://${path}`, { tls: false })
  return probeEngine(address).then(JSON.stringify, (error: Error) => error.message)
}

test('probeEngine() reports a missing path', async () => {
  expect(await probe(async () => {})).toBe('no such file (ENOENT)')
})

test('probeEngine() reports a path without a listener', async () => {
  expect(await probe((path) => writeFile(path, ''))).toBe('connection refused (ECONNREFUSED)')
})

test('probeEngine() waits at most 2 s for a silent server', async () => {
  const startedAt = performance.now()
  expect(await probe((path) => listenOn(path, staySilent))).toBe('no answer within 2 s')
  expect(performance.now() - startedAt).toBeLessThan(3_000)
})

test('probeEngine() waits at most 2 s for the rest of an answer', async () => {
  const half = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nO'
  const startedAt = performance.now()
  const say = (path: string) => listenOn(path, (socket) => socket.once('data', () => socket.write(half)))
  expect(await probe(say)).toBe('no answer within 2 s')
  expect(performance.now() - startedAt).toBeLessThan(3_000)
})

test.each([
  ['garbage', answer('220 mail.example.org ESMTP\r\n'), "the answer is not a container engine's (no HTTP)"],
  [
    'another web server',
    answer('HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nNot here\n'),
    "the answer is not a container engine's (HTTP 404: Not here)",
  ],
  [
    'a server that says yes to everything',
    answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK'),
    "the answer is not a container engine's (no version of its API in it)",
  ],
])('probeEngine() does not mistake %s for an engine', async (_, behaviour, reason) => {
  expect(await probe((path) => listenOn(path, behaviour))).toBe(reason)
})

test.each([
  ['Docker/28.5.2 (linux)', 'Docker Engine 28.5.2'],
  ['Libpod/5.4.0 (linux)', 'Podman 5.4.0'],
  ['nginx', 'container engine'],
])('probeEngine() recognizes an engine whose server is called %s', async (server, product) => {
  const head = `HTTP/1.1 200 OK\r\nApi-Version: 1.51\r\nServer: ${server}\r\nContent-Length: 2\r\n\r\nOK`
  const said = await probe((path) => listenOn(path, answer(head)))
  expect(JSON.parse(said)).toEqual({ apiVersion: '1.51', product })
})

test('probeEngine() does not mistake a server that hangs up for an engine', async () => {
  // Which of the two codes it is depends on whether the request was written before.
  expect(await probe((path) => listenOn(path, hangUp))).toMatch(
    /^the connection was closed without an answer \((ECONNRESET|EPIPE)\)$/,
  )
})
