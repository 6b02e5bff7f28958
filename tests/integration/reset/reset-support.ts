import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { inject, onTestFinished } from 'vitest'
import { systemClock } from '../../../src/internal/clock.ts'
import { PristineCopy } from '../../../src/reset/pristine-copy.ts'
import { resetDatabase, type ResetMark, type ResetOutcome } from '../../../src/reset/reset-database.ts'
import { PostgresAdmin } from '../../../src/services/postgres-admin.ts'

/** A database that a test writes to, and the untouched one that it shall equal afterwards. */
export interface ResetLab {
  readonly client: pg.Client
  readonly pristine: pg.Client
  /** Starts again with a new clone, to which `client` then connects. */
  cloneAgain(): Promise<void>
  /** Opens a further session on the database, which is closed for you. */
  connect(options?: pg.ClientConfig): Promise<pg.Client>
  reset(options?: { waitMs?: number; idleMs?: number }): Promise<ResetOutcome>
}

/** Builds a template with `sql` on a server and clones it; both are dropped after the test. */
export async function openResetLab(sql: string, postgres = inject('infra').postgres): Promise<ResetLab> {
  const name = `reset_lab_${randomBytes(6).toString('hex')}`
  const [template, database, untouched] = [`${name}_t`, `${name}_d`, `${name}_p`] as const
  const clients: pg.Client[] = []
  const open = async (options: pg.ClientConfig) => {
    const client = new pg.Client({ ...postgres, ...options })
    client.on('error', () => {})
    await client.connect()
    clients.push(client)
    return client
  }
  const admin = await PostgresAdmin.open(postgres)
  onTestFinished(async () => {
    await Promise.all(clients.map((client) => client.end().catch(() => {})))
    const maintenance = new pg.Client({ ...postgres, database: 'postgres' })
    await maintenance.connect()
    await maintenance.query(`ALTER DATABASE "${template}" IS_TEMPLATE false`)
    await maintenance.end()
    await Promise.all([template, database, untouched].map((each) => admin.dropDatabase(each, { force: true })))
    await admin.close()
  })

  await admin.createDatabase(template)
  const builder = await open({ database: template })
  await builder.query(sql)
  await builder.end()
  await admin.sealTemplate(template)
  await admin.createDatabase(untouched, template)
  const pristineCopy = await PristineCopy.read({ ...postgres, database: untouched }, template)
  await admin.createDatabase(database, template)

  let mark: ResetMark = pristineCopy.content
  let client = await open({ database })
  return {
    get client() {
      return client
    },
    async cloneAgain() {
      await client.end()
      await admin.dropDatabase(database, { force: true })
      await admin.createDatabase(database, template)
      client = await open({ database })
      mark = pristineCopy.content
    },
    pristine: await open({ database: untouched }),
    connect: (options) => open({ database, ...options }),
    async reset({ waitMs = 5_000, idleMs = 0 } = {}) {
      const address = { ...postgres, database }
      const use = { file: 'test/file.test.ts', idleMs }
      const outcome = await resetDatabase({
        address,
        pristine: pristineCopy,
        mark,
        clock: systemClock,
        waitMs,
        use,
        isClone: true,
      })
      ;({ mark } = outcome)
      return outcome
    },
  }
}

/** The visible content of a database as text: rows in order, sequences, large objects and definitions. */
export async function describeDatabase(client: pg.Client): Promise<Record<string, unknown>> {
  const contents: Record<string, unknown> = {}
  const { rows: relations } = await client.query<{ name: string; kind: string }>(RELATIONS)
  for (const { name, kind } of relations) {
    const query = kind === 'S' ? `SELECT last_value, is_called FROM ${name}` : `SELECT t::text FROM ONLY ${name} AS t`
    // A materialised view may not have been filled yet.
    contents[name] = await list(client, query).catch((error: Error) => error.message)
  }
  for (const [name, query] of Object.entries(LISTS)) {
    contents[name] = await list(client, query)
  }
  return contents
}

const RELATIONS = `SELECT c.oid::regclass::text AS name, relkind AS kind FROM pg_class c
  WHERE c.oid >= 16384 AND relkind IN ('r', 'm', 'S') AND relpersistence <> 't' ORDER BY 1`

const LISTS = {
  'large objects': 'SELECT oid, lo_get(oid) FROM pg_largeobject_metadata ORDER BY 1',
  relations: `SELECT oid::regclass::text AS name, relkind, relpersistence FROM pg_class
    WHERE oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace AND relpersistence <> 't' ORDER BY 1, 2`,
  columns: `SELECT table_schema, table_name, column_name, data_type, column_default, is_nullable
    FROM information_schema.columns WHERE table_schema !~ '^(pg_|information_schema)' ORDER BY 1, 2, ordinal_position`,
  schemas: `SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_' ORDER BY 1`,
  routines: 'SELECT oid::regprocedure::text, prosrc FROM pg_proc WHERE oid >= 16384 ORDER BY 1',
  triggers: 'SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2',
  constraints: 'SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE oid >= 16384 ORDER BY 1, 2',
  enums: 'SELECT enumtypid::regtype::text, enumlabel FROM pg_enum ORDER BY 1, enumsortorder',
  extensions: 'SELECT extname FROM pg_extension ORDER BY 1',
}

async function list(client: pg.Client, query: string): Promise<Record<string, unknown>[]> {
  const { rows } = await client.query<Record<string, unknown>>(query)
  return rows
}
