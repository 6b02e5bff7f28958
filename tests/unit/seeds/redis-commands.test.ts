import { expect, test } from 'vitest'
import { parseRedisCommands } from '../../../src/seeds/redis-commands.ts'

const argumentsOf = (line: string): readonly (string | Buffer)[] | undefined => parseRedisCommands(line, 'x')[0]?.args

test('parseRedisCommands() returns one command per line and skips comments and blank lines', () => {
  expect(parseRedisCommands('\ufeff# first\nSET a 1\r\n\n  # second\n\t GET   a \n', 'x')).toEqual([
    { args: ['SET', 'a', '1'], line: 2 },
    { args: ['GET', 'a'], line: 5 },
  ])
})

test.each([
  ['SET a #1', ['SET', 'a', '#1']],
  ['SET a ""', ['SET', 'a', '']],
  ["SET a ''", ['SET', 'a', '']],
  ['SET "a b" \'c d\'', ['SET', 'a b', 'c d']],
  ['SET prefix:"a b" 1', ['SET', 'prefix:a b', '1']],
  [String.raw`SET a "\n\r\t\b\a\\\"\q"`, ['SET', 'a', '\n\r\t\b\u0007\\"q']],
  [String.raw`SET a 'it\'s \n'`, ['SET', 'a', String.raw`it's \n`]],
  [String.raw`SET a C:\dir`, ['SET', 'a', String.raw`C:\dir`]],
  [String.raw`SET a "\xzz\😀"`, ['SET', 'a', 'xzz😀']],
  [`SET a '{"k":"größe"}'`, ['SET', 'a', '{"k":"größe"}']],
])('parseRedisCommands() reads %s as redis-cli does', (line, expected) => {
  expect(argumentsOf(line)).toEqual(expected)
})

test('parseRedisCommands() returns bytes for an argument with \\xHH', () => {
  const line = String.raw`SET "k\x41" "é\x00\xfF\n"`
  expect(argumentsOf(line)).toEqual(['SET', Buffer.from('kA'), Buffer.from([0xc3, 0xa9, 0x00, 0xff, 0x0a])])
})
