import { expect, test } from 'vitest'
import { tiedEntrypoint } from '../../../../../src/providers/docker/container/lifeline-script.ts'

const HOLD = { run: 'run' }

test('tiedEntrypoint() ends with the entrypoint of the image', () => {
  expect(tiedEntrypoint(['docker-entrypoint.sh', '--quiet'], HOLD).slice(-2)).toEqual([
    'docker-entrypoint.sh',
    '--quiet',
  ])
})

test('tiedEntrypoint() ties once, though the image was made from a container that was tied', () => {
  const tied = tiedEntrypoint(['docker-entrypoint.sh'], HOLD)
  expect(tiedEntrypoint(tied, HOLD)).toEqual(tied)
})
