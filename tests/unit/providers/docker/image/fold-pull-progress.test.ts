import { expect, test } from 'vitest'
import {
  foldPullProgress,
  type PullEvent,
  type PullState,
  totalPullProgress,
} from '../../../../../src/providers/docker/image/fold-pull-progress.ts'

const EMPTY: PullState = new Map()

function fold(...events: PullEvent[]) {
  const { image, ...totals } = totalPullProgress('redis:8', events.reduce(foldPullProgress, EMPTY))
  expect(image).toBe('redis:8')
  return totals
}

const downloading = (id: string, current: number, total: number): PullEvent => ({
  id,
  status: 'Downloading',
  progressDetail: { current, total },
})

test('foldPullProgress() counts layers and bytes', () => {
  const events = [
    { id: 'a', status: 'Pulling fs layer', progressDetail: {} },
    { id: 'b', status: 'Pulling fs layer', progressDetail: {} },
    { id: 'c', status: 'Already exists', progressDetail: {} },
    { id: 'b', status: 'Waiting', progressDetail: {} },
    downloading('a', 40, 100),
    downloading('b', 10, 50),
  ]
  expect(fold(...events)).toEqual({ layersDone: 1, layersTotal: 3, bytesDone: 50, bytesTotal: 150 })
})

test('foldPullProgress() does not count bytes back while a layer is extracted', () => {
  const extracting = { id: 'a', status: 'Extracting', progressDetail: { current: 1, total: 100 } }
  const seconds = { id: 'a', status: 'Extracting', progressDetail: { current: 3, units: 's' } }
  const downloaded = [downloading('a', 90, 100), { id: 'a', status: 'Download complete' }]
  expect(fold(...downloaded, extracting)).toMatchObject({ layersDone: 0, bytesDone: 100, bytesTotal: 100 })
  expect(fold(...downloaded, seconds)).toMatchObject({ layersDone: 0, bytesDone: 100, bytesTotal: 100 })
  expect(fold(...downloaded, seconds, { id: 'a', status: 'Pull complete' })).toMatchObject({ layersDone: 1 })
})

test('foldPullProgress() counts a layer too small to be reported during the download', () => {
  expect(fold({ id: 'a', status: 'Pulling fs layer' }, { id: 'a', status: 'Pull complete' })).toEqual({
    layersDone: 1,
    layersTotal: 1,
    bytesDone: 0,
    bytesTotal: 0,
  })
})

test('foldPullProgress() keeps the state on an event without a layer', () => {
  const state = foldPullProgress(EMPTY, downloading('a', 1, 2))
  expect(foldPullProgress(state, { id: '8-alpine', status: 'Pulling from library/redis' })).toBe(state)
  expect(foldPullProgress(state, { status: 'Digest: sha256:00' })).toBe(state)
  expect(foldPullProgress(state, { id: 'a', status: 'Retrying in 5 seconds' })).toBe(state)
})

test('foldPullProgress() does not modify its argument', () => {
  const state = foldPullProgress(EMPTY, downloading('a', 1, 2))
  foldPullProgress(state, downloading('a', 2, 2))
  expect(totalPullProgress('redis:8', state).bytesDone).toBe(1)
})
