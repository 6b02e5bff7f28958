import { expect, test } from 'vitest'
import { isListMode } from '../../../src/vitest/list-mode.ts'

test.for([
  ['list', true],
  ['list some.test.ts --json', true],
  ['--root packages/api list', true],
  ['--no-color list', true],
  ['--filesOnly list', true],
  ['-c other.config.ts --project=unit list', true],
  ['', false],
  ['run', false],
  ['run list', false],
  ['--root list', false],
  ['--root list run', false],
  ['-t list', false],
  ['--project list watch', false],
  ['run -- list', false],
] as const)('vitest %s: %s', async ([args, expected]) => {
  const argv = ['/usr/bin/node', '/project/node_modules/.bin/vitest', ...args.split(' ').filter(Boolean)]
  expect(await isListMode(argv)).toBe(expected)
})
