import { expect, inject, test } from 'vitest'
import { errorMessage, sortedLines } from './support/plain.ts'
import { runVitest } from './support/run-vitest.ts'

const consumer = inject('consumer')

test('fixtures/ is loaded before the first test in natural order', async () => {
  const run = await runVitest('seeds', { consumer })
  expect(run.stdout).toMatchInlineSnapshot(`
    "RUN  v<version> <project>

     ✓ test/books.test.ts (2 tests) <time>

     Test Files  1 passed (1)
          Tests  2 passed (2)"
  `)
  expect(sortedLines(run.stderr)).toMatchInlineSnapshot(`
    "infra  1 lease, waited <time>
    infra  Docker Engine <version> at <host> (<source>)
    infra  postgres <version> healthy after <time>, redis <version> healthy after <time>
    infra  template "default" built in <time>, redis seeded from 1 file in <time>"
  `)
  expect(run).toMatchObject({ exitCode: 0, created: ['postgres', 'redis'] })
})

test("a failing statement fails the run with file, line and PostgreSQL's error", async () => {
  const more = "INSERT INTO books VALUES\n  (3, 'Sanditon', 'C');\n\nINSERT INTO books VALUES (1, 'Lady Susan', 'D');\n"
  const run = await runVitest('seeds', { consumer, files: { 'fixtures/postgres/seeds/more.sql': more } })
  expect(errorMessage(run.stderr)).toMatchInlineSnapshot(`
    "Cannot load fixtures/postgres/seeds/more.sql:4: duplicate key value violates unique constraint "books_pkey"
    ERROR, SQLSTATE 23505
    Detail: Key (id)=(1) already exists.
      4 | INSERT INTO books VALUES (1, 'Lady Susan', 'D');
    Correct fixtures/postgres/seeds/more.sql and run the tests again"
  `)
  expect(run.stdout).toMatchInlineSnapshot(`"RUN  v<version> <project>"`)
  expect(run.exitCode).toBe(1)
})

test("a failing command fails the run with file, line and Redis's error", async () => {
  const counters = 'SET a 1\nINCRBY a b\n'
  const run = await runVitest('seeds', { consumer, files: { 'fixtures/redis/counters.redis': counters } })
  expect(errorMessage(run.stderr)).toMatchInlineSnapshot(`
    "Cannot load fixtures/redis/counters.redis:2: INCRBY: ERR value is not an integer or out of range
    Correct the command in fixtures/redis/counters.redis and run the tests again"
  `)
  expect(run.exitCode).toBe(1)
})
