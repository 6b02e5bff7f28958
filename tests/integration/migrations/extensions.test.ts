import { Client } from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { command } from '../../../src/migrations.ts'
import { startOwnStack } from '../../support/own-stack.ts'
import { FIXTURES } from './build-template.ts'

test('postgres.extensions creates pgvector before the migrations run', { timeout: 60_000 }, async () => {
  const { postgres } = await startOwnStack(
    {
      services: ['postgres'],
      postgres: {
        image: 'pgvector/pgvector:pg18',
        extensions: ['vector'],
        migrations: [
          command(['npm', 'run', '--silent', 'db:migrate'], { cwd: 'command', files: ['db'] }),
          // It needs the extension to be there before it.
          async ({ pool }) => pool.query('ALTER TABLE books ADD COLUMN embedding vector(3)'),
        ],
        seeds: [],
      },
    },
    FIXTURES,
  )
  const client = new Client(postgres?.url)
  await client.connect()
  onTestFinished(() => client.end())
  await client.query(`
    INSERT INTO authors (name) VALUES ('Ada');
    INSERT INTO books (author_id, title, embedding) VALUES (1, 'near', '[1,1,1]'), (1, 'far', '[9,9,9]')`)
  const { rows } = await client.query("SELECT title FROM books ORDER BY embedding <-> '[1,1,2]'")
  expect(rows).toEqual([{ title: 'near' }, { title: 'far' }])
  await client.query('CREATE INDEX ON books USING hnsw (embedding vector_l2_ops)')
})

test('an extension that the image lacks is an error that names it', { timeout: 60_000 }, async () => {
  const starting = startOwnStack({ services: ['postgres'], postgres: { extensions: ['vector'] } }, FIXTURES)
  await expect(starting).rejects.toThrow(
    /^Cannot create extension "vector": extension "vector" is not available\n.*postgres\.image/,
  )
})
