// A setup file and no global setup: the database lives in the process of the test file.
import { PGlite } from '@electric-sql/pglite'
import { readMigrations } from '../src/migrate.ts'

globalThis.pglite = await PGlite.create()
for (const migration of readMigrations()) {
  await globalThis.pglite.exec(migration)
}
