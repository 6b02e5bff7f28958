import { expect, test } from 'vitest'
import { describeDatabase, openResetLab } from './reset-support.ts'

// The special part is the kind of table, not how its rows change.
test.for([
  {
    what: 'generated and identity columns',
    template: `
      CREATE TABLE t (
        id bigint GENERATED ALWAYS AS IDENTITY (START 1000 INCREMENT 10) PRIMARY KEY, gone text, price numeric NOT NULL,
        stored numeric GENERATED ALWAYS AS (price * 2) STORED, virtual numeric GENERATED ALWAYS AS (price * 3) VIRTUAL);
      ALTER TABLE t DROP COLUMN gone;
      INSERT INTO t (price) VALUES (1.10), (2.20), (3.30);
      DELETE FROM t WHERE price = 2.20`,
    changes: 'UPDATE t SET price = 0; INSERT INTO t (price) VALUES (5)',
  },
  {
    what: 'partitioned tables and foreign keys between them',
    template: `
      CREATE TABLE events (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
      CREATE TABLE events_25 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
      CREATE TABLE events_26 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
      CREATE TABLE remarks (id int PRIMARY KEY, event int, at date, FOREIGN KEY (event, at) REFERENCES events);
      INSERT INTO events VALUES (1, '2025-05-05'), (2, '2026-06-06');
      INSERT INTO remarks VALUES (1, 1, '2025-05-05')`,
    changes: `INSERT INTO events VALUES (3, '2026-07-07'); UPDATE events SET at = '2026-01-01' WHERE id = 2;
      INSERT INTO remarks VALUES (2, 3, '2026-07-07')`,
  },
  {
    what: 'inherited tables',
    template: `CREATE TABLE base (a int); CREATE TABLE child (b int) INHERITS (base);
      INSERT INTO base VALUES (1), (2); INSERT INTO child VALUES (3, 4)`,
    changes: 'UPDATE ONLY base SET a = 9; DELETE FROM ONLY base WHERE a = 2; INSERT INTO child VALUES (5, 6)',
  },
  {
    what: 'foreign keys in a circle, to itself, and from a table that was not written',
    template: `
      CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE);
      ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
      CREATE TABLE tree (id int PRIMARY KEY, parent int REFERENCES tree ON DELETE CASCADE);
      CREATE TABLE leaf (id int PRIMARY KEY, tree int REFERENCES tree ON DELETE CASCADE);
      INSERT INTO a VALUES (1, NULL); INSERT INTO b VALUES (1, 1); UPDATE a SET b = 1;
      INSERT INTO tree VALUES (1, NULL), (2, 1); INSERT INTO leaf VALUES (1, 2)`,
    changes: `INSERT INTO tree VALUES (3, 2); BEGIN; INSERT INTO a VALUES (2, 2); INSERT INTO b VALUES (2, 2); COMMIT;
      UPDATE tree SET parent = NULL WHERE id = 2`,
  },
  {
    what: 'triggers and rules, that must not act now',
    template: `
      CREATE TABLE log (line text); CREATE TABLE t (id serial PRIMARY KEY, touched int NOT NULL DEFAULT 0);
      CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO log VALUES (TG_OP); IF TG_LEVEL = 'ROW' THEN NEW.touched := NEW.touched + 1; END IF; RETURN NEW; END $$;
      CREATE TRIGGER note BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note();
      CREATE TRIGGER note_emptied AFTER TRUNCATE ON t EXECUTE FUNCTION note();
      CREATE RULE also AS ON INSERT TO t DO ALSO INSERT INTO log VALUES ('rule');
      INSERT INTO t DEFAULT VALUES; INSERT INTO t DEFAULT VALUES`,
    changes: 'INSERT INTO t DEFAULT VALUES; UPDATE t SET touched = 100',
  },
  {
    what: 'row security, unlogged tables, schemas and names that must be quoted',
    template: `
      CREATE SCHEMA "My Schema"; CREATE TYPE "My Schema"."A ""type""" AS ("x y" int, z text);
      CREATE UNLOGGED TABLE "My Schema"."Sel""ect" ("Or der" serial PRIMARY KEY, "group" "My Schema"."A ""type""");
      ALTER TABLE "My Schema"."Sel""ect" ENABLE ROW LEVEL SECURITY; ALTER TABLE "My Schema"."Sel""ect" FORCE ROW LEVEL SECURITY;
      CREATE POLICY nobody ON "My Schema"."Sel""ect" USING (false);
      INSERT INTO "My Schema"."Sel""ect" ("group") VALUES ('(1,"a ""b"" \\\\ c")'), (NULL), ('(,)')`,
    changes: `UPDATE "My Schema"."Sel""ect" SET "group" = NULL; INSERT INTO "My Schema"."Sel""ect" DEFAULT VALUES`,
  },
  {
    what: 'unique and exclusion constraints that are deferrable',
    template: `
      CREATE TABLE t (n int UNIQUE DEFERRABLE INITIALLY DEFERRED, r int4range, EXCLUDE USING gist (r WITH &&) DEFERRABLE);
      INSERT INTO t VALUES (1, '[1,2)'), (2, '[2,3)')`,
    changes: 'UPDATE t SET n = 3 - n; DELETE FROM t WHERE n = 1',
  },
  {
    what: 'sequences, wherever they stood',
    template: `
      CREATE SEQUENCE untouched; CREATE SEQUENCE placed START 50; CREATE SEQUENCE called; CREATE SEQUENCE down INCREMENT -1;
      CREATE SEQUENCE cached CACHE 20; CREATE SEQUENCE huge MINVALUE -9223372036854775807; CREATE SEQUENCE set_only;
      SELECT setval('placed', 70, false), nextval('called'), nextval('called'), nextval('down'),
        setval('huge', -9223372036854775806), setval('set_only', 9, false)`,
    changes: `SELECT nextval('untouched'), nextval('placed'), setval('called', 1, false), nextval('down'), nextval('cached'),
        setval('huge', 4), setval('set_only', 10, false); ALTER SEQUENCE untouched RESTART WITH 7`,
  },
  {
    what: 'large objects',
    template: `SELECT lo_from_bytea(70001, decode(repeat('00ff', 5000), 'hex')), lo_from_bytea(70002, ''), lo_from_bytea(70003, 'x')`,
    changes: `SELECT lo_put(70001, 3000, 'changed'), lo_unlink(70003), lo_from_bytea(70004, 'new')`,
  },
  {
    what: 'a table without columns',
    template: 'CREATE TABLE t (); INSERT INTO t DEFAULT VALUES; INSERT INTO t DEFAULT VALUES',
    changes: 'INSERT INTO t DEFAULT VALUES',
  },
])('resetDatabase() resets $what', async ({ template, changes }) => {
  const lab = await openResetLab(template)
  await lab.client.query(changes)
  expect(await describeDatabase(lab.client)).not.toEqual(await describeDatabase(lab.pristine))

  expect(await lab.reset()).toMatchObject({ dropped: [] })
  expect(await describeDatabase(lab.client)).toEqual(await describeDatabase(lab.pristine))

  // Restored rows count as the template's from now on, and differ from later writes.
  await lab.client.query(changes)
  await lab.reset()
  expect(await describeDatabase(lab.client)).toEqual(await describeDatabase(lab.pristine))
})

test('resetDatabase() keeps values of every type to the last bit', async () => {
  const lab = await openResetLab(`
    CREATE TYPE mood AS ENUM ('fine', 'so so'); CREATE DOMAIN positive AS int CHECK (VALUE > 0);
    CREATE TYPE pair AS (n int, words text[]);
    CREATE TABLE t (
      id serial, real float4, double float8, exact numeric, bytes bytea, plain "char", name name, flags bit varying, day date,
      moment timestamptz, span interval, mood mood, positive positive, pair pair, pairs pair[], matrix int[][], json json,
      jsonb jsonb, xml xml, uuid uuid, ranges int4multirange, net inet, words tsvector, place point, money money, class regclass,
      lsn pg_lsn, path jsonpath, texts text[]);
    INSERT INTO t (real, double, exact) VALUES ('NaN', '-Infinity', 'NaN'), (0.1, 1e-310, 1e-20),
      (0.3::float4, 0.1 + 0.2::float8, '1234567890.123456789012345678901234567890');
    INSERT INTO t (bytes, plain, name, flags) VALUES
      ('\\x00ff5c22', 'x', 'n', '0101'), (repeat('ä', 100000)::bytea, '', '', ''), ('', '\\377', 'ä', NULL);
    INSERT INTO t (day, moment, span) VALUES ('infinity', '-infinity', '1 mon -3 days 04:05:06.7'), ('0044-03-15 BC', 'epoch', '-1 year'),
      ('2025-12-31', '2025-03-30 02:30:00.123456+14', '-1 day +1 hour');
    INSERT INTO t (mood, positive, pair, pairs, matrix) VALUES
      ('so so', 1, (1, ARRAY['a', 'b "c" \\', NULL, '']), ARRAY[(1, NULL)::pair, NULL, (NULL, '{}')::pair], '[0:1][2:3]={{1,2},{3,4}}'),
      ('fine', 2147483647, (NULL, NULL), '{}', '{}');
    INSERT INTO t (json, jsonb, xml, texts) VALUES
      ('{"b" : 1, "a": "\\u00e9"}', '{"a": [null, 1e400, "\\\\"]}', '<a>&amp;</a>', ARRAY['', NULL, 'NULL', '{', E'\\n\\t', 'äöü 漢字 🙂']),
      ('[]', 'null', 'text', '{}');
    INSERT INTO t (uuid, ranges, net, words, place, money, class, lsn, path) VALUES (gen_random_uuid(), '{[1,3),[7,9)}',
      '::1/64', 'a:1A b:2', '(0.1,-1e-300)', '-12.34', 'pg_class', '16/B374D848', '$.a[*] ? (@ > 1)')`)
  // Sessions of this database write values in a way of their own.
  const settings = `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET DateStyle = "SQL, DMY"', current_database());
    EXECUTE format('ALTER DATABASE %I SET extra_float_digits = -10', current_database());
    EXECUTE format('ALTER DATABASE %I SET IntervalStyle = sql_standard', current_database());
    EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database()); END $$`
  // Both, since these are an alteration, too.
  await lab.pristine.query(settings)
  await lab.client.query(settings)
  await lab.client.query('UPDATE t SET id = id')

  await lab.reset()
  expect(await describeDatabase(lab.client)).toEqual(await describeDatabase(lab.pristine))
})

test('resetDatabase() copies tables of any size', async () => {
  const lab = await openResetLab(`
    CREATE TABLE many (id int PRIMARY KEY, text text); INSERT INTO many SELECT n, md5(n::text) FROM generate_series(1, 20000) n;
    CREATE TABLE wide (id int PRIMARY KEY, text text); INSERT INTO wide SELECT n, repeat(md5(n::text), 30000) FROM generate_series(1, 30) n`)
  await lab.client.query('UPDATE many SET id = -id; DELETE FROM wide WHERE id = 7')
  await lab.reset()

  const digest = `SELECT (SELECT md5(string_agg(many::text, ',')) FROM many), (SELECT md5(string_agg(wide::text, ',')) FROM wide)`
  expect((await lab.client.query(digest)).rows).toEqual((await lab.pristine.query(digest)).rows)
})

test('resetDatabase() refreshes materialized views from the restored rows', async () => {
  const lab = await openResetLab(`
    CREATE TABLE t (n int); INSERT INTO t VALUES (1), (2);
    CREATE MATERIALIZED VIEW doubled AS SELECT n * 2 AS n FROM t; CREATE MATERIALIZED VIEW redoubled AS SELECT n * 2 AS n FROM doubled;
    CREATE MATERIALIZED VIEW later AS SELECT n FROM t WITH NO DATA; CREATE MATERIALIZED VIEW untouched AS SELECT n FROM t;
    CREATE MATERIALIZED VIEW none AS SELECT n FROM t WHERE n > 2; CREATE MATERIALIZED VIEW emptied AS SELECT n FROM t`)
  await lab.client.query('INSERT INTO t VALUES (3)')
  for (const view of ['doubled', 'redoubled', 'later', 'none']) {
    await lab.client.query(`REFRESH MATERIALIZED VIEW ${view}`)
  }
  await lab.client.query('REFRESH MATERIALIZED VIEW emptied WITH NO DATA')

  await lab.reset()
  expect(await describeDatabase(lab.client)).toEqual(await describeDatabase(lab.pristine))
})
