import fc from 'fast-check'
import pg from 'pg'
import { expect, test } from 'vitest'
import { postgresUrl, redisUrl } from '../../../src/environment/variable-set.ts'
import { redact } from '../../../src/internal/redact.ts'
import { resolve } from '../support/resolve.ts'
import { anyText, forAll } from './for-all.ts'

const nonEmpty = anyText.filter((text) => text !== '')
const databases = nonEmpty.filter((name) => !/^\.{1,2}$/.test(name))
const hosts = fc.oneof(fc.constant('localhost'), fc.ipV4(), fc.ipV6())
const ports = fc.integer({ min: 1, max: 65_535 })
const address = fc.record({ host: hosts, port: ports, user: nonEmpty, password: nonEmpty, database: databases })

/** As in a URL, which has only one way to write an address. */
function hostOf(url: string): string {
  return new URL(url).hostname.replaceAll(/[[\]]/g, '')
}

test(
  'the URL of a database leads pg to it',
  forAll(address, (given) => {
    const url = postgresUrl(given)
    const { host, port, user, password } = new pg.Client(url)
    expect([host, port, user, password]).toEqual([hostOf(url), given.port, given.user, given.password])
    // What pg makes of a database's name with "/" in it is not what was meant; see variable-set.test.ts.
    expect(decodeURIComponent(new URL(url).pathname.slice(1))).toBe(given.database)
  }),
)

test(
  'the URLs that are built are read again as those of external servers',
  forAll(address, (given) => {
    const { user, password, port } = given
    const postgresAt = postgresUrl(given)
    const redisAt = redisUrl({ host: given.host, port, user, password, tls: true })
    const external = { postgres: postgresAt, redis: redisAt, allowedHosts: [hostOf(postgresAt), hostOf(redisAt)] }
    const { postgres, redis } = resolve({ provider: 'external', external })
    expect(postgres).toMatchObject({ user, password, server: { host: hostOf(postgresAt), port } })
    expect(redis?.server).toEqual({ host: hostOf(redisAt), port, user, password, tls: true })
  }),
)

test(
  'no password of a URL or of SQL is left by redact()',
  forAll(address, (given) => {
    const url = postgresUrl({ ...given, user: 'ada' })
    const sql = `ALTER ROLE ada PASSWORD ${pg.escapeLiteral(given.password)}; SELECT 1`
    const none = { user: undefined, password: undefined }
    expect(redact(`at ${url}`, none)).toBe(`at postgres://ada:***${url.slice(url.indexOf('@'))}`)
    expect(redact(sql, none)).toMatch(/^ALTER ROLE ada PASSWORD +E?'\*\*\*'; SELECT 1$/)
  }),
)
