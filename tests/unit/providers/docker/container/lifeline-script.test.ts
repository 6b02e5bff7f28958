import { expect, test } from 'vitest'
import { tiedEntrypoint } from '../../../../../src/providers/docker/container/lifeline-script.ts'

const HOLD = { run: 'run' }

test("tiedEntrypoint() ends with the image's entrypoint", () => {
  expect(tiedEntrypoint(['docker-entrypoint.sh', '--quiet'], HOLD).slice(-2)).toEqual([
    'docker-entrypoint.sh',
    '--quiet',
  ])
})

test('tiedEntrypoint() wraps once, even for an image made from a wrapped container', () => {
  const tied = tiedEntrypoint(['docker-entrypoint.sh'], HOLD)
  expect(tiedEntrypoint(tied, HOLD)).toEqual(tied)
})
