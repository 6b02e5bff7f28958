import { expect, test } from 'vitest'
import { assertMirror } from '../../../src/compose/assert-mirror.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'

test('assertMirror() accepts a file that matches the code', () => {
  expect(() => assertMirror('compose.yaml', 'a\nb\n', 'a\nb\n')).not.toThrow()
})

test('assertMirror() names the first line that differs', async () => {
  const error = await catchInfraError(() => assertMirror('compose.yaml', 'a\nb: 1\nc\n', 'a\nb: 2\nd\n'))
  expect(error.code).toBe('INFRA_MIRROR_DIFFERS')
  expect(error.message).toBe(
    [
      'Cannot accept compose.yaml:2: it has "b: 1" instead of "b: 2"',
      'Render it again with vitest-infra compose --write (in this repository: npm run render), or change the options',
    ].join('\n'),
  )
})

test.for([
  ['a line too few', 'a\n', 'a\nb\n', 'compose.yaml:2: it has "" instead of "b"'],
  ['a line too many', 'a\nb\n', 'a\n', 'compose.yaml:2: it has "b" instead of ""'],
  ['no last line break', 'a', 'a\n', 'compose.yaml:2: it has the end of the file instead of ""'],
  ['a last line break too many', 'a\n\n', 'a\n', 'compose.yaml:3: it has "" instead of the end of the file'],
  ['nothing', '', 'a\n', 'compose.yaml:1: it has "" instead of "a"'],
] as const)('assertMirror() notices %s', async ([, actual, expected, fault]) => {
  const error = await catchInfraError(() => assertMirror('compose.yaml', actual, expected))
  expect(error.message.split('\n')[0]).toBe(`Cannot accept ${fault}`)
})

// Indentation matters in YAML; a message that quotes the same text twice does not help.
test.for([
  ['indentation', '  b: 1\n', 'b: 1\n'],
  ['a trailing blank', 'b: 1 \n', 'b: 1\n'],
  ['line ends', 'b: 1\r\n', 'b: 1\n'],
] as const)('assertMirror() shows a difference of %s', async ([, actual, expected]) => {
  const error = await catchInfraError(() => assertMirror('compose.yaml', actual, expected))
  const [, says, code] = /it has (.*) instead of (.*)$/m.exec(error.message) ?? []
  expect(says).not.toBe(code)
})
