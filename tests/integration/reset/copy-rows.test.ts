import { expect, test } from 'vitest'
import { RowCopier } from '../../../src/reset/copy-rows.ts'
import { EVERYTHING } from '../../../src/reset/rows-written.ts'
import { readRelations } from '../../../src/reset/stored-relations.ts'
import { openResetLab } from './reset-support.ts'

test('RowCopier copies a table while another copier reads it from the same template', async () => {
  const lab = await openResetLab(
    'CREATE TABLE x (n int); CREATE TABLE y (n int); INSERT INTO x VALUES (1); INSERT INTO y VALUES (2)',
  )
  const copier = new RowCopier((work) => work(lab.pristine))
  const [x, y] = await readRelations(lab.pristine, EVERYTHING)
  if (!x || !y) {
    throw new Error('the template has two tables')
  }
  await lab.client.query('TRUNCATE x, y')
  await copier.copy(lab.client, [y])
  await lab.client.query('TRUNCATE y')

  const lock = await lab.connect()
  await lock.query('BEGIN; LOCK TABLE y')
  const copying = copier.copy(lab.client, [x, y])
  const other = await lab.connect()
  await other.query('BEGIN')
  await copier.copy(other, [x])
  await other.query('ROLLBACK')
  await lock.query('ROLLBACK')
  await copying

  expect((await lab.client.query('SELECT x.n AS x, y.n AS y FROM x, y')).rows).toEqual([{ x: 1, y: 2 }])
})
