import { expect, test } from 'vitest'
import { setVariables } from '../../../src/environment/set-variables.ts'

const SHELL = { PATH: '/bin', PGHOST: 'prod.test', PGHOSTADDR: '10.0.0.1', PGSERVICE: 'prod' }

// libpq prefers PGHOSTADDR to PGHOST, and what PGSERVICE names to all of PGHOST, PGPORT and PGDATABASE.
test('setVariables() removes variables that make psql ignore PGHOST', () => {
  const target = { ...SHELL }
  setVariables(target, { PGHOST: 'localhost', PGDATABASE: 'leased' })
  expect(target).toStrictEqual({ PATH: '/bin', PGHOST: 'localhost', PGDATABASE: 'leased' })
})

test("setVariables() leaves the shell's variables unchanged if PGHOST is not set", () => {
  const target = { ...SHELL }
  setVariables(target, { DB_HOST: 'localhost' })
  expect(target).toStrictEqual({ ...SHELL, DB_HOST: 'localhost' })
})

test('setVariables() keeps variables that the user sets with PGHOST', () => {
  const target = { ...SHELL }
  setVariables(target, { PGHOST: 'localhost', PGHOSTADDR: '127.0.0.1' })
  expect(target).toStrictEqual({ PATH: '/bin', PGHOST: 'localhost', PGHOSTADDR: '127.0.0.1' })
})
