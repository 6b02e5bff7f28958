import fc from 'fast-check'
import { expect, inject, test } from 'vitest'
import { withPostgres } from '../../src/services/postgres.ts'
import { quote } from '../../src/services/postgres-admin.ts'

/** As many columns as a query may have, and some to spare. */
const COUNT = 1_000
const SPECIAL = [...Array.from('"\'`\\$;:@/%&*(){}[]. \t\n\r'), '--', '/*', '""', 'a', 'Z', 'é', '😀', '\ufeff']

const names = fc
  .oneof(fc.string({ unit: fc.constantFrom(...SPECIAL) }), fc.string({ unit: 'binary' }))
  .filter((name) => name !== '' && !name.includes('\0') && Buffer.byteLength(name) <= 63)

test('PostgreSQL reads every quoted name unchanged', async () => {
  const given = fc.sample(names, { numRuns: COUNT, seed: 20_261_125 })
  await withPostgres(inject('infra').postgres, async (client) => {
    const { fields } = await client.query(`SELECT ${given.map((name) => `1 AS ${quote(name)}`).join(', ')}`)
    expect(fields.map(({ name }) => name)).toEqual(given)
  })
})
