import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The size of a schema, and in how many steps it came about. */
export interface SchemaShape {
  readonly tables: number
  readonly migrations: number
}

/** Writes migrations as a project collects them: first tables, then added columns. */
export async function writeMigrations(folder: string, shape: SchemaShape): Promise<void> {
  await mkdir(folder, { recursive: true })
  await Promise.all(
    Array.from({ length: shape.migrations }, (_, index) => {
      const name = `${String(index + 1).padStart(4, '0')}_step.sql`
      return writeFile(join(folder, name), renderMigration(index, shape))
    }),
  )
}

function renderMigration(index: number, { tables, migrations }: SchemaShape): string {
  const from = Math.floor((index * tables) / Math.min(migrations, tables))
  const to = Math.floor(((index + 1) * tables) / Math.min(migrations, tables))
  if (from < tables) {
    return Array.from({ length: to - from }, (_, offset) => renderTable(from + offset + 1)).join('\n')
  }
  return `ALTER TABLE table_${(index % tables) + 1} ADD COLUMN column_${index + 1} text;\n`
}

/** A key, an index, a foreign key, a default and a check, as in an application's table. */
function renderTable(number: number): string {
  const parent = number > 1 ? `bigint REFERENCES table_${number - 1} (id)` : 'bigint'
  return `CREATE TABLE table_${number} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  parent_id ${parent},
  name text NOT NULL CHECK (name <> ''),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX table_${number}_name_idx ON table_${number} (name);
`
}
