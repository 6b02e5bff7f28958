import { PassThrough, Readable } from 'node:stream'
import { expect, test } from 'vitest'
import type { Clock } from '../../../../../src/internal/clock.ts'
import { followPull } from '../../../../../src/providers/docker/image/follow-pull.ts'
import type { PullProgress } from '../../../../../src/report/events.ts'

function createClock(stepMs: number): Clock {
  let now = 0
  return { now: () => (now += stepMs), sleep: async () => {} }
}

async function follow(stream: NodeJS.ReadableStream, clock = createClock(1_000)): Promise<PullProgress[]> {
  const progress: PullProgress[] = []
  await followPull(stream, { image: 'redis:8', clock, onProgress: (one) => progress.push(one) })
  return progress
}

const lines = (...events: object[]) => events.map((event) => `${JSON.stringify(event)}\r\n`).join('')
const layer = { id: 'a', status: 'Pulling fs layer' }
const done = { id: 'a', status: 'Pull complete' }

test('followPull() reports progress and the final state', async () => {
  const progress = await follow(Readable.from([lines({ id: '8', status: 'Pulling from library/redis' }, layer, done)]))
  expect(progress.map(({ layersDone }) => layersDone)).toEqual([0, 1, 1])
})

test('followPull() reads events split at any byte', async () => {
  const bytes = Buffer.from(lines({ ...layer, status: 'Pulling fs layer' }, { status: 'Größe' }, done).trimEnd())
  const progress = await follow(
    Readable.from(
      [...bytes].map((byte) => Buffer.of(byte)),
      { objectMode: false },
    ),
  )
  expect(progress.at(-1)).toMatchObject({ layersDone: 1, layersTotal: 1 })
})

test('followPull() reports progress at most ten times a second', async () => {
  const events = Array.from({ length: 1_000 }, (_, index) => ({
    id: 'a',
    status: 'Downloading',
    progressDetail: { current: index, total: 1_000 },
  }))
  // The clock is read twice for each report, and once for each event else: a second passes.
  const progress = await follow(Readable.from([lines(...events)]), createClock(1))
  expect(progress.length).toBeLessThanOrEqual(12)
  expect(progress.at(-1)).toMatchObject({ bytesDone: 999 })
})

test('followPull() rejects with an error in the stream and reads no further', async () => {
  const stream = new PassThrough()
  stream.write(lines(layer, { errorDetail: { message: 'unauthorized: no' }, error: 'unauthorized: no' }))
  await expect(follow(stream)).rejects.toThrow('unauthorized: no')
  expect(stream.destroyed).toBe(true)
})

// dockerode's followProgress() takes both for the end of a successful pull.
test('followPull() rejects when the stream breaks off', async () => {
  const stream = new PassThrough()
  stream.write(lines(layer))
  setImmediate(() => stream.destroy())
  await expect(follow(stream)).rejects.toThrow('Premature close')
})

test('followPull() rejects other content in the stream', async () => {
  await expect(follow(Readable.from(['<html>\n']))).rejects.toThrow('JSON')
})
