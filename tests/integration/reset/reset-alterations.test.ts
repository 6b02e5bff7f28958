import type pg from 'pg'
import { expect, test } from 'vitest'
import { openResetLab, type ResetLab } from './reset-support.ts'

/** With something of every kind that can be altered. */
const SHOP = `
  CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL DEFAULT 'nobody', born date, CONSTRAINT named CHECK (name <> ''));
  CREATE TABLE orders (id int PRIMARY KEY, by int REFERENCES users DEFERRABLE, price numeric); CREATE INDEX by_price ON orders (price);
  COMMENT ON COLUMN users.name IS 'as on the passport'; GRANT SELECT ON users TO PUBLIC;
  ALTER TABLE orders SET (fillfactor = 80); ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;
  CREATE TYPE mood AS ENUM ('fine', 'so so'); CREATE DOMAIN positive AS int CONSTRAINT more CHECK (VALUE > 0); CREATE TYPE pair AS (a int);
  CREATE FUNCTION today() RETURNS date LANGUAGE sql AS 'SELECT current_date'; CREATE VIEW names AS SELECT name FROM users;
  CREATE PROCEDURE nothing() LANGUAGE sql AS ''; CREATE AGGREGATE total(int) (sfunc = int4pl, stype = int);
  CREATE AGGREGATE total(bigint) (sfunc = int8pl, stype = bigint);
  CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE TRIGGER note BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION note(); CREATE POLICY everybody ON users USING (true);
  CREATE RULE nothing AS ON DELETE TO orders DO INSTEAD NOTHING; CREATE SEQUENCE counter; CREATE SCHEMA app; CREATE PUBLICATION news FOR TABLE users;
  CREATE MATERIALIZED VIEW kept AS TABLE names; CREATE UNIQUE INDEX ON kept (name); CREATE STATISTICS linked ON id, born FROM users;
  CREATE COLLATION own (provider = icu, locale = 'de'); CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq);
  CREATE TEXT SEARCH CONFIGURATION words (COPY = simple); CREATE TEXT SEARCH DICTIONARY own (TEMPLATE = simple);
  CREATE FOREIGN DATA WRAPPER wrapper; CREATE SERVER far FOREIGN DATA WRAPPER wrapper; CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (a 'b');
  CREATE FOREIGN TABLE away (n int) SERVER far; CREATE CAST (pair AS text) WITH INOUT;
  CREATE TABLE logs (at date) PARTITION BY RANGE (at); CREATE TABLE logs_25 PARTITION OF logs FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
  CREATE FUNCTION heard() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER heard ON ddl_command_end EXECUTE FUNCTION heard();
  SELECT lo_from_bytea(70001, 'x'); COMMENT ON LARGE OBJECT 70001 IS 'a letter'; GRANT SELECT ON LARGE OBJECT 70001 TO PUBLIC;
  INSERT INTO users (name) VALUES ('Ada'); ALTER EVENT TRIGGER heard DISABLE`

/** Placeholder for the name of the database. */
const DATABASE = 'THIS_DATABASE'

function run(client: pg.Client, statements: string) {
  return client.query(statements.replaceAll(DATABASE, client.escapeIdentifier(client.database ?? '')))
}

async function refusalOf(lab: ResetLab, what: string): Promise<string> {
  const failure = await lab.reset().then(
    () => 'no failure',
    (error: unknown) => error,
  )
  expect.soft(failure, what).toMatchObject({
    code: 'INFRA_LEASE_FAILED',
    service: 'postgres',
    message: expect.stringContaining(
      'for the next test file: test/file.test.ts altered or dropped what its template has',
    ),
  })
  return failure instanceof Error ? failure.message : ''
}

/** An alteration, the reported name, and the statement that undoes it. */
const UNDONE = [
  ['GRANT INSERT ON users TO PUBLIC', 'table public.users (privileges)', 'REVOKE INSERT ON users FROM PUBLIC'],
  ['REVOKE SELECT ON users FROM PUBLIC', 'table public.users (privileges)', 'GRANT SELECT ON users TO PUBLIC'],
  ['GRANT SELECT ON orders TO PUBLIC', 'table public.orders (privileges)', 'REVOKE SELECT ON orders FROM PUBLIC'],
  [
    'CREATE OR REPLACE AGGREGATE total(int) (sfunc = int4mul, stype = int)',
    'aggregate public.total(integer)',
    'CREATE OR REPLACE AGGREGATE total(int) (sfunc = int4pl, stype = int)',
  ],
  [
    'GRANT UPDATE (name) ON users TO PUBLIC',
    'table column public.users.name (privileges)',
    'REVOKE UPDATE (name) ON users FROM PUBLIC',
  ],
  [
    'GRANT USAGE ON SEQUENCE counter TO PUBLIC',
    'sequence public.counter (privileges)',
    'REVOKE USAGE ON SEQUENCE counter FROM PUBLIC',
  ],
  ['GRANT CREATE ON SCHEMA app TO PUBLIC', 'schema app (privileges)', 'REVOKE CREATE ON SCHEMA app FROM PUBLIC'],
  [
    'REVOKE EXECUTE ON FUNCTION today() FROM PUBLIC',
    'function public.today() (privileges)',
    'GRANT EXECUTE ON FUNCTION today() TO PUBLIC',
  ],
  [
    'REVOKE EXECUTE ON FUNCTION pg_sleep(float8) FROM PUBLIC',
    'function pg_catalog.pg_sleep(double precision) (privileges)',
    'GRANT EXECUTE ON FUNCTION pg_sleep(float8) TO PUBLIC',
  ],
  ['REVOKE USAGE ON TYPE mood FROM PUBLIC', 'type public.mood (privileges)', 'GRANT USAGE ON TYPE mood TO PUBLIC'],
  [
    'REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC',
    'language plpgsql (privileges)',
    'GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC',
  ],
  [
    'GRANT USAGE ON FOREIGN SERVER far TO PUBLIC',
    'server far (privileges)',
    'REVOKE USAGE ON FOREIGN SERVER far FROM PUBLIC',
  ],
  [
    `GRANT CREATE ON DATABASE ${DATABASE} TO PUBLIC`,
    '(privileges)',
    `REVOKE CREATE ON DATABASE ${DATABASE} FROM PUBLIC`,
  ],
  [
    'ALTER DEFAULT PRIVILEGES GRANT INSERT ON TABLES TO PUBLIC',
    'default acl for role',
    'ALTER DEFAULT PRIVILEGES REVOKE INSERT ON TABLES FROM PUBLIC',
  ],
  [
    'ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE SELECT ON TABLES FROM PUBLIC',
    'default acl for role',
    'ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC',
  ],
  ["COMMENT ON TABLE users IS 'people'", 'table public.users (comment)', 'COMMENT ON TABLE users IS NULL'],
  [
    'COMMENT ON COLUMN users.name IS NULL',
    'table column public.users.name (comment)',
    "COMMENT ON COLUMN users.name IS 'as on the passport'",
  ],
  [
    "COMMENT ON FUNCTION now() IS 'x'",
    'function pg_catalog.now() (comment)',
    "COMMENT ON FUNCTION now() IS 'current transaction time'",
  ],
  [`COMMENT ON DATABASE ${DATABASE} IS 'mine'`, '(comment)', `COMMENT ON DATABASE ${DATABASE} IS NULL`],
  [
    "COMMENT ON LARGE OBJECT 70001 IS 'mine'",
    'large object 70001 (comment)',
    "COMMENT ON LARGE OBJECT 70001 IS 'a letter'",
  ],
  [
    'ALTER TABLE users SET (autovacuum_enabled = off)',
    'table public.users (options)',
    'ALTER TABLE users RESET (autovacuum_enabled)',
  ],
  [
    'ALTER TABLE users SET (toast.autovacuum_enabled = off)',
    'toast table',
    'ALTER TABLE users RESET (toast.autovacuum_enabled)',
  ],
  [
    'ALTER TABLE orders RESET (fillfactor)',
    'table public.orders (options)',
    'ALTER TABLE orders SET (fillfactor = 80)',
  ],
  [
    'ALTER INDEX by_price SET (fillfactor = 50)',
    'index public.by_price (options)',
    'ALTER INDEX by_price RESET (fillfactor)',
  ],
  [
    'ALTER VIEW names SET (security_barrier = true)',
    'view public.names (options)',
    'ALTER VIEW names RESET (security_barrier)',
  ],
  [
    'ALTER TABLE users ALTER name SET STORAGE EXTERNAL',
    'table column public.users.name (storage)',
    'ALTER TABLE users ALTER name SET STORAGE EXTENDED',
  ],
  [
    'ALTER TABLE users ALTER name SET COMPRESSION pglz',
    'table column public.users.name (compression)',
    'ALTER TABLE users ALTER name SET COMPRESSION DEFAULT',
  ],
  [
    'ALTER TABLE users ALTER name SET STATISTICS 7',
    'table column public.users.name (statistics target)',
    'ALTER TABLE users ALTER name SET STATISTICS -1',
  ],
  [
    'ALTER TABLE users ALTER name SET (n_distinct = 5)',
    'table column public.users.name (options)',
    'ALTER TABLE users ALTER name RESET (n_distinct)',
  ],
  [
    'ALTER STATISTICS linked SET STATISTICS 7',
    'statistics object public.linked (statistics target)',
    'ALTER STATISTICS linked SET STATISTICS -1',
  ],
  [
    'ALTER TABLE orders CLUSTER ON by_price',
    'index public.by_price (clustered)',
    'ALTER TABLE orders SET WITHOUT CLUSTER',
  ],
  [
    `ALTER DATABASE ${DATABASE} CONNECTION LIMIT 50`,
    '(connection limit)',
    `ALTER DATABASE ${DATABASE} CONNECTION LIMIT -1`,
  ],
  [`ALTER DATABASE ${DATABASE} SET work_mem = '1MB'`, '(settings)', `ALTER DATABASE ${DATABASE} RESET work_mem`],
  [
    `ALTER ROLE CURRENT_USER IN DATABASE ${DATABASE} SET work_mem = '1MB'`,
    '(settings)',
    `ALTER ROLE CURRENT_USER IN DATABASE ${DATABASE} RESET work_mem`,
  ],
  ["ALTER SERVER far OPTIONS (ADD host 'x')", 'server far (options)', 'ALTER SERVER far OPTIONS (DROP host)'],
  [
    "ALTER USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (SET a 'c')",
    'user mapping',
    "ALTER USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (SET a 'b')",
  ],
  [
    'ALTER TABLE users REPLICA IDENTITY FULL',
    'table public.users (replica identity)',
    'ALTER TABLE users REPLICA IDENTITY DEFAULT',
  ],
  [
    'ALTER TABLE users FORCE ROW LEVEL SECURITY',
    'table public.users (row security)',
    'ALTER TABLE users NO FORCE ROW LEVEL SECURITY',
  ],
  [
    'ALTER TABLE users DISABLE TRIGGER note',
    'trigger note on public.users (enabled)',
    'ALTER TABLE users ENABLE TRIGGER note',
  ],
  [
    'ALTER TABLE orders DISABLE RULE nothing',
    'rule nothing on public.orders (enabled)',
    'ALTER TABLE orders ENABLE RULE nothing',
  ],
  ['ALTER EVENT TRIGGER heard ENABLE', 'event trigger heard (enabled)', 'ALTER EVENT TRIGGER heard DISABLE'],
  ['ALTER FUNCTION today() COST 7', 'function public.today()', 'ALTER FUNCTION today() COST 100'],
  ["ALTER FUNCTION today() SET work_mem = '1MB'", 'function public.today()', 'ALTER FUNCTION today() RESET ALL'],
  [
    'ALTER SEQUENCE counter INCREMENT 7 CACHE 5',
    'sequence public.counter',
    'ALTER SEQUENCE counter INCREMENT 1 CACHE 1',
  ],
  [
    'ALTER TABLE users ALTER name DROP NOT NULL',
    'table column public.users.name',
    'ALTER TABLE users ALTER name SET NOT NULL',
  ],
  ['ALTER TABLE logs_25 SET UNLOGGED', 'table public.logs_25', 'ALTER TABLE logs_25 SET LOGGED'],
  [
    "ALTER PUBLICATION news SET (publish = 'insert')",
    'publication news',
    "ALTER PUBLICATION news SET (publish = 'insert, update, delete, truncate')",
  ],
  [
    'ALTER TYPE mood OWNER TO pg_database_owner',
    'type public.mood (owner, privileges)',
    'ALTER TYPE mood OWNER TO SESSION_USER',
  ],
] as const

test(
  'resetDatabase() refuses each alteration, names it and its file, and accepts its undoing',
  { timeout: 240_000 },
  async () => {
    const lab = await openResetLab(SHOP)
    for (const [statements, name, undo] of UNDONE) {
      await run(lab.client, statements)
      expect.soft(await refusalOf(lab, statements), statements).toContain(name)
      await run(lab.client, undo)
      const outcome = await lab.reset().catch((error: unknown) => error)
      expect.soft(outcome, undo).toMatchObject({ dropped: [] })
      if (outcome instanceof Error) {
        await lab.cloneAgain()
      }
    }
  },
)

/** An altered object, the alteration, and the reported name. */
const REFUSED = [
  ['a constraint that is validated no more', 'ALTER TABLE users DROP CONSTRAINT named', 'named on public.users'],
  [
    'a constraint that is deferred',
    'ALTER TABLE orders ALTER CONSTRAINT orders_by_fkey INITIALLY DEFERRED',
    'orders_by_fkey',
  ],
  ['a constraint of a domain', 'ALTER DOMAIN positive DROP CONSTRAINT more', 'more'],
  ['a default of a domain', 'ALTER DOMAIN positive SET DEFAULT 1', 'type public.positive'],
  ['a renamed label', "ALTER TYPE mood RENAME VALUE 'fine' TO 'good'", 'type public.mood'],
  ['an attribute of a type', 'ALTER TYPE pair ADD ATTRIBUTE b int', 'public.pair'],
  ['a function that runs as its owner', 'ALTER FUNCTION today() SECURITY DEFINER', 'function public.today()'],
  ['an altered policy', 'ALTER POLICY everybody ON users USING (false)', 'policy everybody on public.users'],
  ['the owner of a sequence', 'ALTER SEQUENCE counter OWNED BY users.born', 'sequence public.counter'],
  ['an identity', 'ALTER TABLE orders ALTER id ADD GENERATED ALWAYS AS IDENTITY', 'public.orders'],
  ['a table in a publication', 'ALTER PUBLICATION news ADD TABLE orders', 'publication'],
  [
    'a dropped text search mapping',
    'ALTER TEXT SEARCH CONFIGURATION words DROP MAPPING FOR word',
    'text search configuration public.words',
  ],
  [
    'a text search dictionary',
    'ALTER TEXT SEARCH DICTIONARY own (accept = false)',
    'text search dictionary public.own',
  ],
  [
    'a function of an operator',
    'ALTER OPERATOR === (int, int) SET (restrict = eqsel)',
    'operator public.===(integer,integer)',
  ],
  ['a dropped cast', 'DROP CAST (pair AS text)', 'cast'],
  ['a dropped aggregate', 'DROP AGGREGATE total(int)', 'aggregate public.total(integer)'],
  ['a detached partition', 'ALTER TABLE logs DETACH PARTITION logs_25', 'table public.logs_25'],
  ['inheritance', 'CREATE TABLE base (born date); ALTER TABLE users INHERIT base', 'table'],
  ['a dropped index', 'DROP INDEX by_price', 'index public.by_price'],
  ['another schema', 'ALTER FUNCTION today() SET SCHEMA app', 'function public.today()'],
  ['a dropped extension', 'DROP EXTENSION plpgsql CASCADE', 'extension plpgsql'],
  ['a version of a server', "ALTER SERVER far VERSION '2'", 'server far'],
] as const

test('resetDatabase() refuses alterations that cannot be undone', { timeout: 240_000 }, async () => {
  const lab = await openResetLab(SHOP)
  for (const [what, statements, name] of REFUSED) {
    await run(lab.client, statements)
    expect.soft(await refusalOf(lab, what), what).toContain(name)
    await lab.cloneAgain()
  }
})

test('resetDatabase() restores large objects with owner, privileges and comment', async () => {
  const lab = await openResetLab(SHOP)
  const query = `SELECT oid, lomowner, lomacl, lo_get(oid) AS data, obj_description(oid, 'pg_largeobject') AS comment
    FROM pg_largeobject_metadata`
  await lab.client.query("GRANT UPDATE ON LARGE OBJECT 70001 TO PUBLIC; SELECT lo_put(70001, 0, 'y')")

  await lab.reset()
  expect((await lab.client.query(query)).rows).toEqual((await lab.pristine.query(query)).rows)
})

/** A created object, its statement, and the reported drop. */
const DROPPED = [
  [
    'casts, operators, collations',
    `CREATE CAST (mood AS int) WITH INOUT; CREATE OPERATOR <<<< (leftarg = int, rightarg = int, function = int4lt);
    CREATE COLLATION other (provider = icu, locale = 'fr'); CREATE OPERATOR FAMILY f USING btree; CREATE STATISTICS more ON by, price FROM orders`,
    [
      'cast (public.mood AS integer)',
      'collation public.other',
      'operator family public.f USING btree',
      'operator public.<<<<(integer,integer)',
      'statistics object public.more',
    ],
  ],
  [
    'text search',
    'CREATE TEXT SEARCH CONFIGURATION more (COPY = simple); CREATE TEXT SEARCH DICTIONARY more (TEMPLATE = simple)',
    ['text search configuration public.more', 'text search dictionary public.more'],
  ],
  [
    'foreign data',
    `CREATE FOREIGN DATA WRAPPER other; CREATE SERVER s FOREIGN DATA WRAPPER other; CREATE FOREIGN TABLE t (n int) SERVER s;
    CREATE USER MAPPING FOR PUBLIC SERVER s`,
    ['foreign table public.t', 'foreign-data wrapper other', 'server s'],
  ],
  [
    'a table with its sequences, indexes and triggers',
    `CREATE TABLE scratch (id serial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY UNIQUE, CHECK (n > 0));
    CREATE INDEX ON scratch (n); CREATE TRIGGER note BEFORE INSERT ON scratch FOR EACH ROW EXECUTE FUNCTION note(); COMMENT ON TABLE scratch IS 'x';
    GRANT SELECT ON scratch TO PUBLIC`,
    ['table public.scratch'],
  ],
  [
    'columns with what they need',
    'ALTER TABLE users ADD n serial UNIQUE, ADD m int REFERENCES orders; CREATE INDEX ON users (m)',
    ['table column public.users.m', 'table column public.users.n'],
  ],
  [
    'what stands on its own',
    'CREATE SEQUENCE alone; CREATE INDEX later ON orders (by); ALTER TABLE users ADD CONSTRAINT born CHECK (born IS NOT NULL) NOT VALID',
    ['index public.later', 'sequence public.alone', 'table constraint born on public.users'],
  ],
] as const

test('resetDatabase() drops objects that the template lacks and counts nothing twice', async () => {
  const lab = await openResetLab(SHOP)
  for (const [what, statements, dropped] of DROPPED) {
    await run(lab.client, statements)
    expect.soft([...(await lab.reset()).dropped].sort(), what).toEqual(dropped)
  }
  expect(await lab.reset()).toMatchObject({ dropped: [] })
})
