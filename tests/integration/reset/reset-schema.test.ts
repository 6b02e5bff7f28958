import { expect, test } from 'vitest'
import { InfraError } from '../../../src/errors.ts'
import { describeDatabase, openResetLab } from './reset-support.ts'

const SHOP = `
  CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL DEFAULT 'nobody');
  CREATE TYPE mood AS ENUM ('fine', 'so so');
  CREATE FUNCTION today() RETURNS date LANGUAGE sql AS 'SELECT current_date';
  CREATE VIEW names AS SELECT name FROM users;
  CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE TRIGGER note BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION note();
  INSERT INTO users (name) VALUES ('Ada')`

test.for([
  ['tables', 'CREATE TABLE scratch (id serial PRIMARY KEY, by int REFERENCES users)', ['table public.scratch']],
  [
    'schemas',
    'CREATE SCHEMA "my app"; CREATE TABLE "my app".t (n int); CREATE VIEW "my app".v AS TABLE users',
    ['schema "my app"'],
  ],
  [
    'views',
    'CREATE VIEW all_names AS TABLE names; CREATE MATERIALIZED VIEW kept AS TABLE names',
    ['view public.all_names'],
  ],
  [
    'types',
    `CREATE TYPE t AS (a int); CREATE TYPE e AS ENUM ('x'); CREATE DOMAIN d AS int; CREATE TYPE r AS RANGE (subtype = int)`,
    ['type public.r'],
  ],
  [
    'routines',
    `CREATE FUNCTION f(int, text DEFAULT '') RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE PROCEDURE p() LANGUAGE sql AS '';
     CREATE FUNCTION today(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE AGGREGATE total(int) (sfunc = int4pl, stype = int)`,
    ['function public.today(integer)'],
  ],
  [
    'extensions',
    'CREATE EXTENSION pg_trgm; CREATE TABLE texts (t text); CREATE INDEX ON texts USING gin (t gin_trgm_ops)',
    ['extension pg_trgm'],
  ],
  [
    'columns and what depends on them',
    'ALTER TABLE users ADD email text UNIQUE, ADD n int GENERATED ALWAYS AS IDENTITY; CREATE VIEW emails AS SELECT email FROM users',
    [],
  ],
  [
    'indexes, triggers, rules, policies, constraints',
    `
     CREATE INDEX ON users (name); CREATE TRIGGER again AFTER INSERT ON users EXECUTE FUNCTION note();
     CREATE RULE nothing AS ON DELETE TO users DO INSTEAD NOTHING; CREATE POLICY everybody ON users USING (true);
     ALTER TABLE users ADD CHECK (name <> ''), ADD UNIQUE (name)`,
    [],
  ],
  [
    'partitions',
    'CREATE TABLE logs (at date) PARTITION BY RANGE (at); CREATE TABLE old PARTITION OF logs DEFAULT',
    ['table public.logs'],
  ],
  [
    'a new schema "public"',
    'CREATE SCHEMA app; ALTER TABLE users SET SCHEMA app; ALTER TABLE app.users SET SCHEMA public; CREATE PUBLICATION all_of_it',
    [],
  ],
] as const)('resetDatabase() drops %s that the template lacks', async ([, statements, dropped]) => {
  const lab = await openResetLab(SHOP)
  await lab.client.query(statements)
  await lab.client.query("INSERT INTO users (name) VALUES ('Bob')")

  expect((await lab.reset()).dropped).toEqual(expect.arrayContaining([...dropped]))
  expect(await describeDatabase(lab.client)).toEqual(await describeDatabase(lab.pristine))
  expect((await lab.reset()).dropped).toEqual([])

  await lab.client.query(statements)
})

test.for([
  ['a dropped table', 'DROP TABLE users CASCADE', 'table public.users'],
  [
    'a table that was replaced by another',
    'DROP TABLE users CASCADE; CREATE TABLE users (id int)',
    'table column public.users.name',
  ],
  ['a renamed table', 'ALTER TABLE users RENAME TO people', 'table public.users'],
  ['a dropped column', 'ALTER TABLE users DROP COLUMN name CASCADE', 'table column public.users.name'],
  ['a column of another type', 'ALTER TABLE users ALTER COLUMN id TYPE bigint', 'table column public.users.id'],
  ['another default', `ALTER TABLE users ALTER COLUMN name SET DEFAULT 'x'`, 'table column public.users.name'],
  ['a new label of an enum', `ALTER TYPE mood ADD VALUE 'bad'`, 'type public.mood'],
  [
    'a replaced function',
    `CREATE OR REPLACE FUNCTION today() RETURNS date LANGUAGE sql AS $$ SELECT '2025-01-01'::date $$`,
    'function public.today()',
  ],
  ['a replaced view', `CREATE OR REPLACE VIEW names AS SELECT upper(name) AS name FROM users`, 'view public.names'],
  ['a disabled trigger', 'ALTER TABLE users DISABLE TRIGGER note', 'trigger note on public.users'],
  ['row security', 'ALTER TABLE users ENABLE ROW LEVEL SECURITY', 'table public.users'],
  ['another persistence', 'ALTER TABLE users SET UNLOGGED', 'table public.users'],
  ['a dropped schema', 'DROP SCHEMA public CASCADE; CREATE SCHEMA public', 'table public.users'],
])('resetDatabase() refuses %s and changes nothing', async ([, statements, name]) => {
  const lab = await openResetLab(SHOP)
  await lab.client.query(`${statements}; CREATE TABLE scratch (n int); INSERT INTO scratch VALUES (1)`)
  const before = await describeDatabase(lab.client)

  const failure = await lab.reset().catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(InfraError)
  expect(failure).toMatchObject({ code: 'INFRA_LEASE_FAILED', service: 'postgres' })
  expect((failure as InfraError).message).toContain(name)
  expect(await describeDatabase(lab.client)).toEqual(before)
})

test('resetDatabase() accepts changes that cancel out', async () => {
  const lab = await openResetLab(SHOP)
  await lab.client.query(`
    ALTER TABLE users DISABLE TRIGGER ALL; ALTER TABLE users ENABLE TRIGGER ALL; TRUNCATE users RESTART IDENTITY; ANALYZE;
    ALTER TABLE users ADD extra text; ALTER TABLE users DROP extra; CREATE INDEX i ON users (name); DROP INDEX i; CLUSTER users USING users_pkey; ALTER TABLE users SET WITHOUT CLUSTER;
    ALTER SEQUENCE users_id_seq RESTART WITH 100; REINDEX TABLE users;
    GRANT SELECT ON users TO PUBLIC; REVOKE SELECT ON users FROM PUBLIC; COMMENT ON TABLE users IS 'people'; COMMENT ON TABLE users IS NULL`)

  expect(await lab.reset()).toMatchObject({ dropped: [] })
  expect(await describeDatabase(lab.client)).toEqual(await describeDatabase(lab.pristine))
})

test('resetDatabase() accepts objects that a test recreated identically', async () => {
  const lab = await openResetLab(SHOP)
  await lab.client.query(`
    DROP SCHEMA public CASCADE; CREATE SCHEMA public; ${SHOP};
    ALTER TABLE users DROP CONSTRAINT users_pkey, ALTER name DROP DEFAULT; DROP TRIGGER note ON users; DROP VIEW names;
    CREATE OR REPLACE FUNCTION today() RETURNS date LANGUAGE sql AS $$ SELECT '2025-01-01'::date $$;
    ALTER TABLE users ADD PRIMARY KEY (id), ALTER name SET DEFAULT 'nobody'; CREATE VIEW names AS SELECT name FROM users;
    CREATE TRIGGER note BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION note();
    CREATE OR REPLACE FUNCTION today() RETURNS date LANGUAGE sql AS 'SELECT current_date';
    INSERT INTO users (name) VALUES ('Bob'), ('Cleo')`)

  expect(await lab.reset()).toMatchObject({ dropped: [] })
  expect(await describeDatabase(lab.client)).toEqual(await describeDatabase(lab.pristine))
})

test('resetDatabase() gives migrating tests an empty schema "public", old or new', async () => {
  const lab = await openResetLab('')
  const migrate = 'DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE users (id serial PRIMARY KEY)'
  await lab.client.query(migrate)
  await lab.reset()

  expect((await describeDatabase(lab.client))['relations']).toEqual([])
  await lab.client.query('CREATE TABLE users (id serial PRIMARY KEY)')
  await lab.reset()
  await lab.client.query(migrate)
  expect((await lab.reset()).dropped).toEqual(expect.arrayContaining(['table public.users']))
})
