import { expect, test } from 'vitest'
import { describeSqlFailure } from '../../../src/seeds/describe-sql-failure.ts'
import { splitSqlStatements, type SqlStatement } from '../../../src/seeds/sql-statements.ts'

function describeLast(text: string, fields: object, message = 'it failed'): string {
  const statement = splitSqlStatements(text).at(-1) as SqlStatement
  return describeSqlFailure(Object.assign(new Error(message), fields), statement, { name: 'seeds/1.sql', text }).message
}

test("describeSqlFailure() names the statement's first line and PostgreSQL's error", () => {
  const fields = {
    severity: 'ERROR',
    code: '23505',
    detail: 'Key (id)=(1) already exists.',
    hint: 'None.',
    where: 'f()',
  }
  expect(describeLast('SELECT 1;\n\nINSERT INTO t\nVALUES (1);', fields, 'duplicate key')).toBe(
    [
      'Cannot load seeds/1.sql:3: duplicate key',
      'ERROR, SQLSTATE 23505',
      'Detail: Key (id)=(1) already exists.',
      'Hint: None.',
      'Where: f()',
      '  3 | INSERT INTO t',
      'Correct seeds/1.sql and run the tests again',
    ].join('\n'),
  )
})

test('describeSqlFailure() points at the position inside the statement', () => {
  const fields = { severity: 'ERROR', code: '42601', position: '14' }
  expect(describeLast("SELECT 1; SELECT '😀',\r\n\tx y z;", fields)).toBe(
    [
      'Cannot load seeds/1.sql:2: it failed',
      'ERROR, SQLSTATE 42601',
      '  2 |  x y z;',
      '      ^'.padEnd(7),
      'Correct seeds/1.sql and run the tests again',
    ].join('\n'),
  )
})

test('describeSqlFailure() counts from the start of the line, not of the statement', () => {
  const fields = { severity: 'ERROR', code: '42P01', position: '15' }
  expect(describeLast('SELECT 1; SELECT 1 FROM nowhere', fields)).toBe(
    [
      'Cannot load seeds/1.sql:1: it failed',
      'ERROR, SQLSTATE 42P01',
      '  1 | SELECT 1; SELECT 1 FROM nowhere',
      '                              ^',
      'Correct seeds/1.sql, or give it a name that sorts after the file that creates what is missing',
    ].join('\n'),
  )
})

test('describeSqlFailure() shows the part of a long line around the position', () => {
  const text = `SELECT ${'1, '.repeat(100)}x${', 1'.repeat(100)}`
  const [, , excerpt = '', pointer = ''] = describeLast(text, {
    severity: 'ERROR',
    code: '42703',
    position: '308',
  }).split('\n')
  expect(excerpt).toHaveLength('  1 | '.length + 100)
  expect(excerpt[pointer.indexOf('^')]).toBe('x')
})

test('describeSqlFailure() points to the log if the connection broke', () => {
  expect(describeLast('SELECT 1', { code: 'EPIPE' }, 'Connection terminated unexpectedly')).toBe(
    [
      'Cannot load seeds/1.sql:1: Connection terminated unexpectedly',
      '  1 | SELECT 1',
      'Look in the log of the PostgreSQL server for the reason',
    ].join('\n'),
  )
})
