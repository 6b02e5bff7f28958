import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { readBaseline } from '../../../src/isolation/baseline.ts'
import { KeptSession } from '../../../src/isolation/kept-session.ts'
import { Renewal } from '../../../src/isolation/renewal.ts'
import { describeDatabase, openResetLab } from './reset-support.ts'

const SHOP = `
  CREATE TABLE users (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
  CREATE TABLE orders (id serial PRIMARY KEY, user_id int NOT NULL REFERENCES users ON DELETE CASCADE, total numeric);
  CREATE TABLE countries (code text PRIMARY KEY, name text NOT NULL);
  CREATE UNLOGGED TABLE visits (at timestamptz NOT NULL DEFAULT now());
  CREATE MATERIALIZED VIEW totals AS SELECT sum(total) FROM orders;
  INSERT INTO users (name) VALUES ('seeded');
  INSERT INTO countries VALUES ('de', 'Germany'), ('fr', 'France');
`

const FUNCTION_THAT_SETS = `CREATE FUNCTION f(text) RETURNS void LANGUAGE plpgsql AS $$
  BEGIN PERFORM set_config('app.tenant', $1, true); END $$`

const TRIGGER_THAT_STAYS = `CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
  CREATE TRIGGER t AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION t();
  ALTER TABLE users ENABLE ALWAYS TRIGGER t`

/** A clone whose only session is kept from one user to the next. */
async function openRenewalLab(sql = SHOP) {
  const lab = await openResetLab(sql)
  const { client: first, pristine } = lab
  const { database, host, port, user, password } = first
  await first.end()
  const session = new KeptSession()
  onTestFinished(() => session.close())
  const use = async <T>(work: (client: pg.Client) => Promise<T>, options: pg.ClientConfig = {}): Promise<T> => {
    const stream = () => session.open(JSON.stringify(options))
    // The types know of a stream, not of a function that makes one.
    const place = { database, host, port, user, password: password ?? '', stream, ...options } as pg.ClientConfig
    const client = new pg.Client(place)
    client.on('error', () => {})
    await client.connect()
    try {
      return await work(client)
    } finally {
      await client.end()
    }
  }
  const baseline = await use((client) => session.withoutLook(() => readBaseline(client)))
  const renewal = baseline && (await use((client) => session.withoutLook(() => Renewal.begin(client, baseline))))
  return {
    pristine,
    connect: () => lab.connect(),
    session,
    baseline,
    use,
    renew: async () => renewal !== undefined && (await renewal.renew((queries) => session.ask(queries))),
  }
}

async function pidOf(client: pg.Client): Promise<number | undefined> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  return rows[0]?.pid
}

test('renew() makes a database equal to a new clone again, as often as rows are written', async () => {
  const lab = await openRenewalLab()
  const places: string[] = []
  for (let round = 0; round < 5; round += 1) {
    const { rows } = await lab.use((client) =>
      client.query<{ id: number; place: string }>(
        "INSERT INTO users (name) VALUES ('Ada') RETURNING id, ctid::text AS place",
      ),
    )
    expect(rows).toMatchObject([{ id: 2 }])
    places.push(...rows.map(({ place }) => place))
    await lab.use(async (client) => {
      await client.query('BEGIN; INSERT INTO orders (user_id, total) VALUES (2, 5), (1, 3); COMMIT')
      await client.query(
        "UPDATE users SET name = 'Bea' WHERE id = 2; UPDATE orders SET total = 4; INSERT INTO visits DEFAULT VALUES",
      )
      await client.query('BEGIN; DELETE FROM countries; ROLLBACK')
    })
    expect(await lab.renew()).toBe(true)
    expect(await lab.use(describeDatabase)).toEqual(await describeDatabase(lab.pristine))
  }
  // A checkpoint that writes the page meanwhile keeps VACUUM from it, once in a while.
  expect(places.filter((place) => place === '(0,2)').length).toBeGreaterThan(places.length / 2)
})

const AUDITED = `
  CREATE TABLE deletions (of_user int);
  CREATE FUNCTION note_deletion() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO deletions VALUES (OLD.id); RETURN OLD; END $$;
  CREATE TRIGGER note_deletion BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION note_deletion()`

const CIRCULAR = `
  ALTER TABLE users ADD last_order int REFERENCES orders DEFERRABLE INITIALLY DEFERRED;
  CREATE TABLE folders (id int PRIMARY KEY, parent int REFERENCES folders ON DELETE RESTRICT)`

test.for([
  ['with a trigger that writes', AUDITED, "INSERT INTO users (name) VALUES ('Ada'), ('Bea')"],
  [
    'with keys that lead in a circle',
    CIRCULAR,
    `BEGIN; INSERT INTO users (name, last_order) VALUES ('Ada', 1); INSERT INTO orders (user_id) VALUES (2); COMMIT;
     INSERT INTO folders VALUES (1, NULL), (2, 1)`,
  ],
  [
    'with values too large for a row',
    'CREATE TABLE notes (text text)',
    "INSERT INTO notes SELECT string_agg(md5(i::text), '') FROM generate_series(1, 2000) AS i",
  ],
  [
    'whose rows the others need',
    '',
    "INSERT INTO users (name) VALUES ('Ada'); INSERT INTO orders (user_id) VALUES (2)",
  ],
])('renew() deletes rows of tables %s', async ([, schema, statements]) => {
  const lab = await openRenewalLab(`${SHOP}; ${schema}`)
  for (let round = 0; round < 2; round += 1) {
    await lab.use((client) => client.query(statements ?? ''))
    expect(await lab.renew()).toBe(true)
    expect(await lab.use(describeDatabase)).toEqual(await describeDatabase(lab.pristine))
  }
})

test.for([
  ['changed a row of the template', "UPDATE countries SET name = 'Deutschland' WHERE code = 'de'"],
  ['exchanged one', "DELETE FROM countries WHERE code = 'fr'; INSERT INTO countries VALUES ('fr', 'France')"],
  ['made a table', 'CREATE TABLE scratch (id int)'],
  ['made one and dropped it', 'CREATE TABLE scratch (id int); DROP TABLE scratch'],
  ['made a temporary one', 'CREATE TEMP TABLE scratch (id int)'],
  ['truncated', 'TRUNCATE orders'],
  ['granted', 'GRANT SELECT ON users TO PUBLIC'],
  ['commented', "COMMENT ON TABLE users IS 'all'"],
  ['altered a sequence', 'ALTER SEQUENCE orders_id_seq INCREMENT 5'],
  ['refreshed a view', 'REFRESH MATERIALIZED VIEW totals'],
  ['wrote a large object', "SELECT lo_from_bytea(0, 'x')"],
  ['switched a trigger off', 'ALTER TABLE orders DISABLE TRIGGER ALL'],
  ['reset the counters', "INSERT INTO users (name) VALUES ('Ada'); SELECT pg_stat_reset()"],
])('renew() refuses a database in which somebody %s', async ([, statements]) => {
  const lab = await openRenewalLab()
  // Without the look at what is said, so that the look at the database has to find it.
  await lab.use((client) => lab.session.withoutLook(() => client.query(statements ?? '')))
  expect(await lab.renew()).toBe(false)
})

test('renew() refuses a database with settings of its own', async () => {
  const lab = await openRenewalLab()
  await lab.use((client) => client.query(`ALTER DATABASE "${client.database}" SET statement_timeout = '1min'`))
  expect(await lab.renew()).toBe(false)
})

test('renew() refuses a database in which somebody holds a lock, and does not wait for it', async () => {
  const lab = await openRenewalLab()
  const write = (client: pg.Client) => client.query("INSERT INTO users (name) VALUES ('Ada')")
  await lab.use(write)
  expect(await lab.renew()).toBe(true)
  const other = await lab.connect()
  await other.query('BEGIN; LOCK TABLE users')
  expect(await lab.renew()).toBe(false)
})

test('renew() refuses a database that somebody else is connected to', async () => {
  const lab = await openRenewalLab()
  await lab.connect()
  expect(await lab.renew()).toBe(false)
})

test('renew() waits for sessions that are about to end', async () => {
  const lab = await openRenewalLab()
  const others = await Promise.all([lab.connect(), lab.connect(), lab.connect()])
  await Promise.all(others.map((other) => other.end()))
  expect(await lab.renew()).toBe(true)
})

test('renew() finds what a session wrote that has ended', async () => {
  const lab = await openRenewalLab()
  const other = await lab.connect()
  await other.query("INSERT INTO users (name) VALUES ('Ada')")
  await other.end()
  expect(await lab.renew()).toBe(true)
  expect(await lab.use(describeDatabase)).toEqual(await describeDatabase(lab.pristine))
})

test.for([
  ['a function that sets variables', FUNCTION_THAT_SETS],
  ['a trigger that nothing silences', TRIGGER_THAT_STAYS],
])('readBaseline() wants nothing of a template with %s', async ([, sql]) => {
  const lab = await openRenewalLab(`${SHOP}; ${sql}`)
  expect(lab.baseline).toBeUndefined()
})

test('a renewed session knows nothing of the client before', async () => {
  const lab = await openRenewalLab()
  const before = await lab.use(async (client) => {
    await client.query(
      "PREPARE p AS SELECT 1; SET search_path = 'nowhere', 'public'; SELECT pg_advisory_lock(1); LISTEN news",
    )
    await client.query({ name: 'named', text: 'SELECT 1' })
    await client.query("SELECT nextval('orders_id_seq'); SET statement_timeout = 1000")
    return pidOf(client)
  })
  expect(await lab.renew()).toBe(true)
  await lab.use(async (client) => {
    expect(await pidOf(client)).toBe(before)
    const { rows } = await client.query(
      `SELECT current_setting('search_path') AS path, current_setting('statement_timeout') AS timeout,
         (SELECT count(*)::int FROM pg_prepared_statements) AS prepared,
         (SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory') AS locks,
         (SELECT count(*)::int FROM pg_listening_channels()) AS channels`,
    )
    expect(rows).toEqual([{ path: '"$user", public', timeout: '0', prepared: 0, locks: 0, channels: 0 }])
    await expect(client.query("SELECT currval('orders_id_seq')")).rejects.toThrow('not yet defined')
    expect((await client.query({ name: 'named', text: 'SELECT 2 AS two' })).rows).toEqual([{ two: 2 }])
  })
})

test.for([
  'BEGIN',
  "SET app.tenant = '1'",
  "SELECT set_config('app.tenant', '1', true)",
  'set session "app"."tenant" to 1',
])('a session is not kept after %s', async (statement) => {
  const lab = await openRenewalLab()
  await lab.use((client) => client.query(statement))
  expect(lab.session.isParked).toBe(false)
})

test('a client that asks for another session is given one', async () => {
  const lab = await openRenewalLab()
  const kept = await lab.use(pidOf)
  expect(await lab.use(pidOf)).toBe(kept)
  expect(await lab.use(pidOf, { statement_timeout: 1_000 })).not.toBe(kept)
})

test('a session with a query that nobody awaited is not kept', async () => {
  const lab = await openRenewalLab()
  await lab.use(async (client) => void client.query('SELECT pg_sleep(10)').catch(() => {}))
  expect(lab.session.isParked).toBe(false)
})

test('a kept session that the server ends is gone', async () => {
  const lab = await openRenewalLab()
  const kept = await lab.use(pidOf)
  await lab.pristine.query('SELECT pg_terminate_backend($1, 5000)', [kept])
  await expect.poll(() => lab.session.isParked).toBe(false)
  expect(await lab.use(pidOf)).not.toBe(kept)
})
