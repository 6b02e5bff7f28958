import { expect, test } from 'vitest'
import { forwardPartOf, SQL_CONVENTIONS } from '../../../src/migrations/sql-conventions.ts'

test('flyway files are ordered by version, then repeatable ones by name', () => {
  const names = ['R__b.sql', 'V10__a.sql', 'V2__a.sql', 'V1_1__a.sql', 'R__a.sql', 'V1__a.sql', 'V1.0.1__a.sql']
  expect(names.toSorted(SQL_CONVENTIONS.flyway.compare)).toEqual([
    'V1__a.sql',
    'V1.0.1__a.sql',
    'V1_1__a.sql',
    'V2__a.sql',
    'V10__a.sql',
    'R__a.sql',
    'R__b.sql',
  ])
})

test.for([
  ['plain', 'users.sql', true],
  ['plain', 'users.down.sql', false],
  ['plain', 'users.DOWN.sql', false],
  ['golang-migrate', '1_users.up.sql', true],
  ['golang-migrate', '1_users.sql', false],
  ['flyway', 'V1__users.sql', true],
  ['flyway', 'U1__users.sql', false],
  ['flyway', 'V1_users.sql', false],
] as const)('%s runs %s as a forward migration: %s', ([convention, name, isForward]) => {
  expect(SQL_CONVENTIONS[convention].isForward(name)).toBe(isForward)
})

test("forwardPartOf() keeps the file's line numbers", () => {
  const text = 'DROP TABLE a;\n-- migrate:up\nCREATE TABLE a ();\n-- migrate:down\nDROP TABLE a;\n'
  expect(forwardPartOf(text, SQL_CONVENTIONS.dbmate)).toBe('             \n-- migrate:up\nCREATE TABLE a ();\n')
})

test('forwardPartOf() returns all if there is no down part', () => {
  expect(forwardPartOf('-- +goose Up\nSELECT 1;', SQL_CONVENTIONS.goose)).toBe('-- +goose Up\nSELECT 1;')
  expect(forwardPartOf('SELECT 1;', SQL_CONVENTIONS.plain)).toBe('SELECT 1;')
})

test('forwardPartOf() returns nothing without a marker', () => {
  expect(forwardPartOf('SELECT 1;', SQL_CONVENTIONS.dbmate)).toBeUndefined()
})
