import { PassThrough } from 'node:stream'
import { finished } from 'node:stream/promises'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeMessage, readMessages } from '../../../src/internal/requests.ts'
import { openLeasing, REQUEST } from '../leasing/lease-support.ts'
import { anyText, forAll } from './for-all.ts'

const messages = fc.array(
  fc.dictionary(anyText, fc.jsonValue()).map((message) => JSON.parse(JSON.stringify(message)) as object),
)

/** Numbers that say where a stream is cut, in parts of its length. */
const cuts = fc.array(fc.nat(1_000))

function pieces(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = places.map((place) => Math.floor((bytes.length * place) / 1_000)).toSorted((left, right) => left - right)
  return [...ends, bytes.length].map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end))
}

/** The messages received from a stream in pieces. */
async function hear(stream: readonly Buffer[]): Promise<{ heard: object[]; cutOff: boolean }> {
  const socket = new PassThrough()
  const heard: object[] = []
  readMessages(socket, (message) => heard.push(message))
  for (const piece of stream) {
    if (!socket.destroyed) {
      socket.write(piece)
      // A piece at a time, as from a network.
      await new Promise(setImmediate)
    }
  }
  const cutOff = socket.destroyed
  socket.end()
  await finished(socket).catch(() => {})
  return { heard, cutOff }
}

function encode(all: readonly object[]): Buffer {
  return Buffer.from(all.map(encodeMessage).join(''))
}

test(
  'the same messages are heard however the stream is cut',
  forAll(fc.tuple(messages, cuts), async ([sent, places]) => {
    expect(await hear(pieces(encode(sent), places))).toEqual({ heard: sent, cutOff: false })
  }),
)

const garbage = fc
  .oneof(
    fc.uint8Array({ minLength: 1 }).map((bytes) => Buffer.from(bytes)),
    fc
      .constantFrom('null', '42', '"a"', '[]', '[{}]', '', '{', '{}{}', 'GET / HTTP/1.1\r')
      .map((text) => Buffer.from(text)),
  )
  .filter((bytes) => {
    try {
      const text = bytes.toString()
      const value: unknown = JSON.parse(text)
      return text.includes('\n') || typeof value !== 'object' || value === null || Array.isArray(value)
    } catch {
      return true
    }
  })

test(
  'who sends anything else is heard up to there, and cut off, however the stream is cut',
  forAll(fc.tuple(messages, garbage, messages, cuts), async ([before, wrong, after, places]) => {
    const stream = Buffer.concat([encode(before), wrong, Buffer.from('\n'), encode(after)])
    expect(await hear(pieces(stream, places))).toEqual({ heard: before, cutOff: true })
  }),
)

test(
  'any bytes are heard or cut off, and nothing is thrown',
  forAll(fc.tuple(fc.uint8Array(), cuts), async ([bytes, places]) => {
    const { heard } = await hear(pieces(Buffer.from(bytes), places))
    expect(heard.filter((message) => typeof message !== 'object' || Array.isArray(message))).toEqual([])
  }),
)

const methods = fc.constantFrom(
  'acquire',
  'begin',
  'control',
  'idle',
  'reset',
  'changed',
  'finish',
  'failed',
  'release',
  'drop',
  'toString',
  '__proto__',
)
const requests = fc.dictionary(
  fc.constantFrom(
    'id',
    'lease',
    'owner',
    'project',
    'span',
    'wants',
    'template',
    'reuse',
    'onServerOf',
    'service',
    'tests',
  ),
  fc.oneof(fc.jsonValue(), fc.constantFrom(1, 'postgres', ['postgres', 'redis'], 'default')),
)

test(
  'no request brings the lease server down, or takes from others what is theirs',
  forAll(
    fc.array(fc.tuple(methods, fc.array(fc.oneof(requests, fc.jsonValue(), fc.constant(1)))), { minLength: 1 }),
    async (given) => {
      const { dial, open, databases, server } = await openLeasing()
      const other = await open()
      await other.acquire(REQUEST)
      const { socket, closed } = await dial()
      socket.write(given.map(([method, args], id) => encodeMessage({ id, method, args })).join(''))
      socket.end()
      await closed
      expect(await other.acquire(REQUEST)).toMatchObject({ template: 'default' })
      expect([...databases.out]).toContain('db1')
      await server.close()
    },
    { runs: 50 },
  ),
)
