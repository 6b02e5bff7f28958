import knex from 'knex'
import pg from 'pg'
import { Sequelize } from 'sequelize'
import { DataSource } from 'typeorm'
import { expect, inject, test } from 'vitest'

const { user, password, host, port, database } = inject('infra').postgres
const CREDENTIALS = `${user}:${password}@`
const WITHOUT_A_NAME = `postgres://${CREDENTIALS}${host}:${port}`
const QUERY = 'SELECT current_database() AS name'

interface Row {
  readonly name: string
}

/** The database that each client connects to for a URL. */
const CLIENTS: Readonly<Record<string, (url: string) => Promise<string | undefined>>> = {
  async pg(url) {
    const client = new pg.Client(url)
    await client.connect()
    const { rows } = await client.query<Row>(QUERY)
    await client.end()
    return rows[0]?.name
  },
  async knex(url) {
    const client = knex({ client: 'pg', connection: url })
    const { rows } = await client.raw<{ rows: Row[] }>(QUERY)
    await client.destroy()
    return rows[0]?.name
  },
  async typeorm(url) {
    const source = await new DataSource({ type: 'postgres', url }).initialize()
    const [row] = await source.query<Row[]>(QUERY)
    await source.destroy()
    return row?.name
  },
  async sequelize(url) {
    const client = new Sequelize(url, { logging: false })
    const [rows] = await client.query(QUERY)
    await client.close()
    return (rows as Row[])[0]?.name
  },
}

// Without PGDATABASE each of them would connect to the database that is named after the user, which all files share.
test.for(Object.entries(CLIENTS))('%s stays in the lease with a URL that names no database', async ([, nameOf]) => {
  expect(process.env['PGDATABASE']).toBe(database)
  expect(await nameOf(WITHOUT_A_NAME)).toBe(database)
  expect(await nameOf(`${WITHOUT_A_NAME}/`)).toBe(database)
})

test.for(Object.entries(CLIENTS))('%s connects to the database that a URL names', async ([, nameOf]) => {
  expect(await nameOf(`${WITHOUT_A_NAME}/app`)).toBe('app')
})
