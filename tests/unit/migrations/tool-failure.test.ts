import { expect, test } from 'vitest'
import type { ProgramExit } from '../../../src/migrations/await-exit.ts'
import { describeToolFailure, type ToolFailure } from '../../../src/migrations/tool-failure.ts'

const program = {
  command: ['/usr/bin/node', '/app/node_modules/knex/bin/cli.js', '--url=postgres://me:s3cret-word@db/x', "it's here"],
  cwd: '/app',
  env: {},
  timeoutMs: 500,
} as const

function messageOf(exit: ProgramExit, failure: Partial<ToolFailure> & { output?: string } = {}): string[] {
  const { output = 'done', ...rest } = failure
  const credentials = { user: 'me', password: 's3cret-word' }
  const error = describeToolFailure({ name: 'knex', program, result: { exit, output }, credentials, ...rest })
  return error.message.split('\n')
}

test('describeToolFailure() shows the command line as typed, without passwords', () => {
  expect(messageOf({ type: 'exited', code: 1 })).toEqual([
    'Cannot fill the template: knex exited with code 1',
    "$ /usr/bin/node node_modules/knex/bin/cli.js --url=postgres://me:***@db/x 'it's here'",
    'done',
    'Correct the error in its output and run the tests again',
  ])
})

test('describeToolFailure() hides the password wherever it appears', () => {
  const output = 'PGPASSWORD=s3cret-word redis://:other@host mysql://a:b@c'
  expect(messageOf({ type: 'exited', code: 1 }, { output })[2]).toBe('PGPASSWORD=*** redis://:***@host mysql://a:***@c')
})

test('describeToolFailure() hides a password equal to the user only in URLs', () => {
  const credentials = { user: 'postgres', password: 'postgres' }
  const output = 'postgres://postgres:postgres@localhost/postgres'
  expect(messageOf({ type: 'exited', code: 1 }, { output, credentials })[2]).toBe(
    'postgres://postgres:***@localhost/postgres',
  )
})

test('describeToolFailure() says that a program wrote nothing', () => {
  expect(messageOf({ type: 'killed', signal: 'SIGKILL' }, { output: '' }).slice(0, 3)).toEqual([
    'Cannot fill the template: knex was killed by SIGKILL',
    expect.any(String),
    '(no output)',
  ])
})

test('describeToolFailure() names the option that raises the timeout', () => {
  const lines = messageOf({ type: 'timed-out' })
  expect(lines[0]).toBe('Cannot fill the template: knex did not exit within 500 ms')
  expect(lines.at(-1)).toBe('Raise its option timeoutMs, or find out why it does not exit')
})

test('describeToolFailure() omits a program that was passed as an argument', () => {
  const command = ['node', '--eval', 'first\nsecond'] as const
  expect(messageOf({ type: 'exited', code: 1 }, { program: { ...program, command } })[1]).toBe("$ node --eval '…'")
})
