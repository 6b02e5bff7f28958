import { expect, test } from 'vitest'
import { InfraError } from '../../../src/errors.ts'
import { startOwnStack } from '../../support/own-stack.ts'
import { describeDatabase, openResetLab } from './reset-support.ts'

const SHOP = `
  CREATE TABLE users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
  CREATE TABLE orders (id serial PRIMARY KEY, user_id int NOT NULL REFERENCES users, total numeric(10, 2));
  CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL);
  INSERT INTO countries VALUES ('de', 'Germany'), ('fr', 'France'), ('it', 'Italy');
`

test('resetDatabase() empties written tables and restarts their sequences', async () => {
  const lab = await openResetLab(SHOP)
  await lab.client.query("INSERT INTO users (name) VALUES ('Ada'), ('Bob'); INSERT INTO orders (user_id) VALUES (2)")
  await lab.reset()

  expect(await describeDatabase(lab.client)).toEqual(await describeDatabase(lab.pristine))
  const { rows } = await lab.client.query("INSERT INTO users (name) VALUES ('Cleo') RETURNING id")
  expect(rows).toEqual([{ id: 1 }])
})

test.for([
  ['changed', "UPDATE countries SET name = 'Deutschland' WHERE code = 'de'"],
  ['deleted', "DELETE FROM countries WHERE code = 'fr'"],
  ['added', "INSERT INTO countries VALUES ('es', 'Spain')"],
  ['exchanged', "DELETE FROM countries WHERE code = 'fr'; INSERT INTO countries VALUES ('fr', 'France')"],
  ['truncated', 'TRUNCATE countries'],
  ['rewritten', 'ALTER TABLE countries ALTER name TYPE text USING upper(name)'],
])('resetDatabase() restores reference rows that were %s', async ([, statements]) => {
  const lab = await openResetLab(SHOP)
  await lab.client.query(statements ?? '')
  expect(await describeDatabase(lab.client)).not.toEqual(await describeDatabase(lab.pristine))

  await lab.reset()
  expect(await describeDatabase(lab.client)).toEqual(await describeDatabase(lab.pristine))
})

test('resetDatabase() does not touch tables without writes', async () => {
  const lab = await openResetLab(`${SHOP} SELECT setval('orders_id_seq', 41)`)
  const files = () =>
    lab.client.query("SELECT relname, relfilenode FROM pg_class WHERE relkind IN ('r', 'i', 'S') ORDER BY 1")
  const untouched = await files()
  await lab.client.query("BEGIN; INSERT INTO countries VALUES ('es', 'Spain'); ROLLBACK")
  await lab.client.query('SELECT * FROM countries')
  await lab.reset()

  expect((await files()).rows).toEqual(untouched.rows)
})

test('resetDatabase() frees the space of rolled-back rows', async () => {
  const lab = await openResetLab(SHOP)
  await lab.client.query(
    "BEGIN; INSERT INTO users (name) VALUES ('Ada'); INSERT INTO orders (user_id) VALUES (1); ROLLBACK",
  )
  await lab.reset()

  const { rows } = await lab.client.query("INSERT INTO users (name) VALUES ('Bob') RETURNING id, ctid")
  expect(rows).toEqual([{ id: 1, ctid: '(0,1)' }])
})

test("resetDatabase() distinguishes a second file's changes from rows that the first reset restored", async () => {
  const lab = await openResetLab(SHOP)
  for (const statement of [
    "UPDATE countries SET name = 'x'",
    'DELETE FROM countries',
    "UPDATE countries SET name = 'y' WHERE code = 'it'",
  ]) {
    await lab.client.query(statement)
    await lab.reset()
    expect(await describeDatabase(lab.client)).toEqual(await describeDatabase(lab.pristine))
  }
})

test('resetDatabase() sees writes of a session that has not reported its statistics', async () => {
  const lab = await openResetLab(SHOP)
  await lab.client.query('SET stats_fetch_consistency = none; SET track_counts = off')
  await lab.client.query("UPDATE countries SET name = 'Deutschland' WHERE code = 'de'")
  await lab.reset()

  expect(await describeDatabase(lab.client)).toEqual(await describeDatabase(lab.pristine))
})

test('resetDatabase() keeps sessions connected and leaves their state unchanged', async () => {
  const lab = await openResetLab(SHOP)
  await lab.client.query("CREATE TEMP TABLE mine AS SELECT 1 AS n; SET application_name = 'mine'; LISTEN news")
  await lab.client.query({ name: 'count', text: 'SELECT count(*)::int FROM countries' })
  await lab.client.query('SELECT pg_advisory_lock(1); DELETE FROM countries')
  const heard = new Promise((resolve) => lab.client.on('notification', resolve))

  expect(await lab.reset()).toMatchObject({ dropped: [] })
  expect((await lab.client.query({ name: 'count', text: 'SELECT count(*)::int FROM countries' })).rows).toEqual([
    { count: 3 },
  ])
  expect((await lab.client.query('TABLE mine')).rows).toEqual([{ n: 1 }])
  expect((await lab.client.query('SHOW application_name')).rows).toEqual([{ application_name: 'mine' }])
  expect((await lab.client.query('SELECT pg_advisory_unlock(1) AS held')).rows).toEqual([{ held: true }])
  await lab.client.query("NOTIFY news, 'x'")
  expect(await heard).toMatchObject({ payload: 'x' })
})

test('resetDatabase() invalidates cached sequence values of sessions', async () => {
  const lab = await openResetLab('CREATE SEQUENCE numbers CACHE 10')
  await lab.client.query("SELECT nextval('numbers')")
  await lab.reset()

  expect((await lab.client.query("SELECT nextval('numbers')")).rows).toEqual([{ nextval: '1' }])
})

test('resetDatabase() invalidates values of a cached sequence that another session has set back', async () => {
  const lab = await openResetLab('CREATE SEQUENCE s CACHE 10')
  const draw = async () => (await lab.client.query("SELECT nextval('s')::int AS n")).rows
  const other = await lab.connect()
  for (const round of [1, 2]) {
    expect(await draw(), `round ${round}`).toEqual([{ n: 1 }])
    await other.query("SELECT setval('s', 1, false)")
    await lab.reset()
  }
})

test('resetDatabase() waits for a query that the test did not await', async () => {
  const lab = await openResetLab(SHOP)
  const forgotten = lab.client.query("INSERT INTO users (name) SELECT 'x' FROM pg_sleep(0.3)")
  await lab.reset()
  await forgotten
  await lab.reset()

  expect(await describeDatabase(lab.client)).toEqual(await describeDatabase(lab.pristine))
})

test.for([
  ['has written', "INSERT INTO countries VALUES ('es', 'Spain')"],
  ['has only read', 'SELECT * FROM orders'],
  ['holds a lock', 'LOCK orders'],
])('resetDatabase() names an open transaction that %s', async ([, statement]) => {
  const lab = await openResetLab(SHOP)
  const leaking = await lab.connect({ application_name: 'the leak' })
  await lab.client.query("INSERT INTO users (name) VALUES ('Ada'); INSERT INTO orders (user_id) VALUES (1)")
  await leaking.query('BEGIN')
  await leaking.query(statement ?? '')

  const failure = await lab.reset({ waitMs: 50 }).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(InfraError)
  expect(failure).toMatchObject({ code: 'INFRA_LEASE_FAILED', service: 'postgres' })
  expect((failure as InfraError).message).toMatch(
    /^Cannot reset database "reset_lab_\w+" for the next test file: a transaction in it does not end\n {2}"the leak": idle in transaction, .* last query: /,
  )
  expect((failure as InfraError).message).toContain(statement)

  await leaking.query('ROLLBACK')
  await lab.reset()
  expect(await describeDatabase(lab.client)).toEqual(await describeDatabase(lab.pristine))
})

test('resetDatabase() rolls prepared transactions back', { timeout: 60_000 }, async () => {
  const { postgres } = await startOwnStack({
    services: ['postgres'],
    postgres: { settings: { max_prepared_transactions: 4 } },
  })
  const lab = await openResetLab(SHOP, postgres)
  await lab.client.query('BEGIN')
  await lab.client.query("UPDATE countries SET name = 'x'; PREPARE TRANSACTION 'it''s prepared'")
  await lab.reset()

  expect((await lab.client.query('SELECT gid FROM pg_prepared_xacts')).rows).toEqual([])
  expect(await describeDatabase(lab.client)).toEqual(await describeDatabase(lab.pristine))
})

test('resetDatabase() does not wait for a transaction outside the tables to empty', async () => {
  const lab = await openResetLab(SHOP)
  const leader = await lab.connect()
  await leader.query('BEGIN; SELECT pg_advisory_xact_lock(7); SELECT * FROM countries')
  await lab.client.query("INSERT INTO users (name) VALUES ('Ada')")
  await lab.reset({ waitMs: 50 })

  expect((await lab.client.query('SELECT count(*)::int FROM users')).rows).toEqual([{ count: 0 }])
})

/** All inputs of the planner except file sizes. */
const STATISTICS = [
  `SELECT coalesce(owner.relname, c.relname) AS name, c.relkind, to_jsonb(c) - '{oid,relname,relfilenode,relfrozenxid}'::text[]
     - '{relminmxid,reltype,reltoastrelid,reloftype}'::text[] AS values
   FROM pg_class c LEFT JOIN pg_index ON indexrelid = c.oid LEFT JOIN pg_class owner ON owner.reltoastrelid IN (c.oid, indrelid)
   WHERE c.oid >= 16384 ORDER BY 1, 2`,
  "SELECT to_jsonb(s) AS values FROM pg_stats s WHERE schemaname = 'public' ORDER BY tablename, attname",
  'SELECT to_jsonb(s) AS values FROM pg_stats_ext s ORDER BY tablename, statistics_name',
  'EXPLAIN SELECT * FROM t JOIN other USING (id) WHERE n = 3',
  'EXPLAIN SELECT * FROM other WHERE id < 10',
  'EXPLAIN SELECT count(*) FROM t WHERE n = 3 AND m = 3',
]

test.for([
  ['', ''],
  ['', 'ANALYZE t (n); ANALYZE other'],
  ['ANALYZE t (n)', 'ANALYZE'],
  ['ANALYZE', ''],
  ['ANALYZE', 'ANALYZE'],
  ['ANALYZE t', 'ANALYZE; VACUUM ANALYZE t'],
] as const)(
  'resetDatabase() leaves the planner statistics of a clone: template with "%s", test with "%s"',
  async ([template, used]) => {
    const lab = await openResetLab(`
    CREATE TABLE t (id int PRIMARY KEY, n int, m int, long text); CREATE INDEX ON t ((n + m)); CREATE STATISTICS linked ON n, m FROM t;
    CREATE TABLE other (id int PRIMARY KEY, note text); CREATE TABLE pages (id int PRIMARY KEY);
    INSERT INTO t SELECT n, n % 7, n % 7, repeat('x', 3000) FROM generate_series(1, 500) n; INSERT INTO pages SELECT generate_series(1, 9);
    ${template}`)
    for (const statement of [
      'INSERT INTO other SELECT generate_series(1, 3000); DELETE FROM t WHERE id > 3; DELETE FROM pages',
      ...used.split('; '),
      'TRUNCATE other',
    ]) {
      await lab.client.query(statement)
    }

    await lab.reset()
    for (const query of STATISTICS) {
      expect.soft((await lab.client.query(query)).rows, query).toEqual((await lab.pristine.query(query)).rows)
    }
  },
)

test('resetDatabase() reports only statements sent after the end of the file', async () => {
  const lab = await openResetLab('CREATE TABLE t (n int)')
  const api = await lab.connect({ application_name: 'api' })
  await api.query('SELECT 1')
  expect((await lab.reset()).late).toEqual([])

  await api.query('INSERT INTO t VALUES (1)')
  expect((await lab.reset({ idleMs: 60_000 })).late).toContainEqual({
    session: 'api',
    query: 'INSERT INTO t VALUES (1)',
  })
})

test.for<[what: string, template: string, change: string, look: string]>([
  [
    'a column dropped and added again',
    "CREATE TABLE u (id int, email text); INSERT INTO u VALUES (1, 'a@b'), (2, 'c@d')",
    'ALTER TABLE u DROP COLUMN email; ALTER TABLE u ADD COLUMN email text',
    'SELECT id, email FROM u ORDER BY id',
  ],
  [
    'two tables that have swapped their names',
    'CREATE TABLE a (n int); CREATE TABLE b (n int); INSERT INTO a VALUES (1); INSERT INTO b VALUES (2)',
    'ALTER TABLE a RENAME TO c; ALTER TABLE b RENAME TO a; ALTER TABLE c RENAME TO b',
    'SELECT a.n AS a, b.n AS b FROM a, b',
  ],
  [
    'an attribute of a type dropped and added again',
    'CREATE TYPE pair AS (a int, b int); CREATE TABLE p (pair pair); INSERT INTO p VALUES (ROW(1, 2))',
    'ALTER TYPE pair DROP ATTRIBUTE b; ALTER TYPE pair ADD ATTRIBUTE b int',
    'SELECT (pair).a, (pair).b FROM p',
  ],
  [
    'columns that are called as an alias could be',
    "CREATE TABLE m (t text); INSERT INTO m VALUES ('(b)'); CREATE TABLE n (t timestamptz, r int); INSERT INTO n VALUES ('2025-01-01', 1)",
    'DELETE FROM m; UPDATE n SET r = 2',
    'SELECT m.t AS text, n.t AS time, r FROM m, n',
  ],
  [
    'a row type with a cast to text',
    `CREATE TABLE k (n int); INSERT INTO k VALUES (1);
     CREATE FUNCTION say(k) RETURNS text LANGUAGE sql AS $$ SELECT 'said' $$; CREATE CAST (k AS text) WITH FUNCTION say(k)`,
    'UPDATE k SET n = 2',
    'SELECT n FROM k',
  ],
])('resetDatabase() restores the rows after %s', async ([, template, change, look]) => {
  const lab = await openResetLab(template)
  const { rows } = await lab.pristine.query(look)
  for (const round of [1, 2]) {
    await lab.client.query(change)
    await lab.reset()
    expect((await lab.client.query(look)).rows, `round ${round}`).toEqual(rows)
  }
})

test('resetDatabase() restores rows in tables whose triggers and rules always fire', async () => {
  const lab = await openResetLab(`
    CREATE TABLE t (n int); CREATE TABLE log (what text); INSERT INTO t VALUES (1); INSERT INTO log VALUES ('template');
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (tg_op); RETURN NULL; END $$;
    CREATE FUNCTION raise_n() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n = NEW.n + 1; RETURN NEW; END $$;
    CREATE TRIGGER "on insert" AFTER INSERT ON t EXECUTE FUNCTION note(); ALTER TABLE t ENABLE ALWAYS TRIGGER "on insert";
    CREATE TRIGGER on_truncate AFTER TRUNCATE ON t EXECUTE FUNCTION note(); ALTER TABLE t ENABLE REPLICA TRIGGER on_truncate;
    CREATE TRIGGER raise_n BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION raise_n(); ALTER TABLE t ENABLE ALWAYS TRIGGER raise_n;
    CREATE TABLE parted (n int) PARTITION BY RANGE (n); CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (100);
    CREATE TRIGGER raise_n BEFORE INSERT ON parted FOR EACH ROW EXECUTE FUNCTION raise_n();
    INSERT INTO part VALUES (1); ALTER TABLE part ENABLE ALWAYS TRIGGER raise_n;
    CREATE TABLE ruled (n int); INSERT INTO ruled VALUES (1);
    CREATE RULE noted AS ON INSERT TO ruled DO ALSO INSERT INTO log VALUES ('rule'); ALTER TABLE ruled ENABLE ALWAYS RULE noted;
    CREATE MATERIALIZED VIEW total AS SELECT sum(n) FROM ruled;
    CREATE FUNCTION note_command() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (tg_tag); END $$;
    CREATE EVENT TRIGGER noted ON ddl_command_end WHEN TAG IN ('REFRESH MATERIALIZED VIEW') EXECUTE FUNCTION note_command();
    ALTER EVENT TRIGGER noted ENABLE ALWAYS`)
  for (const round of [1, 2]) {
    await lab.client.query('INSERT INTO t VALUES (5); INSERT INTO part VALUES (6); UPDATE ruled SET n = 7')
    await lab.client.query('REFRESH MATERIALIZED VIEW total')
    await lab.reset()
    expect(await describeDatabase(lab.client), `round ${round}`).toEqual(await describeDatabase(lab.pristine))
  }
})

test.for<[what: string, template: string, change: string, other: string, remedy: string]>([
  [
    'a materialized view that the template has not refreshed',
    'CREATE TABLE t (n int); CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM t; INSERT INTO t VALUES (1)',
    'REFRESH MATERIALIZED VIEW totals',
    'INSERT INTO t VALUES (2)',
    'Refresh it at the end of your migrations or seeds',
  ],
  [
    'a generated column whose function was replaced',
    `CREATE FUNCTION twice(n int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT n * 2';
     CREATE TABLE t (n int, twice int GENERATED ALWAYS AS (twice(n)) STORED); INSERT INTO t VALUES (1);
     CREATE OR REPLACE FUNCTION twice(n int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT n + n + 1'; CREATE TABLE other (n int)`,
    'UPDATE t SET n = 5',
    'INSERT INTO other VALUES (1)',
    'Have the migration that replaces a function',
  ],
])('resetDatabase() does not treat %s as unchanged', async ([, template, change, other, remedy]) => {
  const lab = await openResetLab(template)
  await lab.client.query(other)
  await lab.reset()
  expect(await describeDatabase(lab.client)).toEqual(await describeDatabase(lab.pristine))

  await lab.client.query(change)
  await expect(lab.reset()).rejects.toMatchObject({
    code: 'INFRA_LEASE_FAILED',
    remedy: expect.stringContaining(remedy) as string,
  })
})
