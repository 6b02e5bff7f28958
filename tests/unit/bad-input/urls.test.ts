import { expect, test } from 'vitest'
import { catchInfraError } from '../support/catch-infra-error.ts'
import { resolve } from '../support/resolve.ts'

const EXTERNAL = { provider: 'external' }
const HERE = 'REDIS_URL=redis://localhost\n'

function noUrl(source: string, service: 'postgres' | 'redis'): string {
  const port = service === 'postgres' ? 5432 : 6379
  return (
    `Cannot use ${source}: it is no URL such as ${service}://user:password@localhost:${port}\n` +
    `Correct ${source}; write @ : / ? # and % in user and password as %40 %3A %2F %3F %23 %25`
  )
}

/** Invalid URLs of a server; no part may be repeated, as a password can be anywhere in it. */
const urls = [
  'postgres://ada:sword#fish@localhost/shop',
  'postgres://ada:sword/fish@localhost/shop',
  'postgres://ada:sword?fish@localhost/shop',
  'postgres://ada:swordfish%@localhost/shop',
  'postgres://ada:swordfish%c3@localhost/shop',
  'postgres://ada:swordfish%00@localhost/shop',
  'postgres://ada:swordfish@localhost:0/shop',
  'postgres://ada:swordfish@localhost:65536/shop',
  'postgres://ada:swordfish@localhost:port/shop',
  'postgres://ada:swordfish@[::1/shop',
  'postgres://ada:swordfish@/shop',
  'postgres:ada:swordfish@localhost/shop',
  'jdbc:postgresql://localhost/shop?password=swordfish',
  'rediss://:swordfish@localhost',
  'host=localhost password=swordfish',
  '"postgres://localhost"',
]

test.for(urls)('DATABASE_URL=%s is refused without repeating it', async (url) => {
  const inProcess = await catchInfraError(() => resolve(EXTERNAL, { process: { DATABASE_URL: url } }))
  expect(inProcess).toMatchObject({ code: 'INFRA_CONFIG_INVALID', message: noUrl('DATABASE_URL', 'postgres') })

  const inFile = await catchInfraError(() => resolve(EXTERNAL, { envFile: `A=1\nDATABASE_URL='${url}'\n` }))
  expect(inFile).toMatchObject({ code: 'INFRA_CONFIG_INVALID', message: noUrl('DATABASE_URL (.env:2)', 'postgres') })

  const option = await catchInfraError(() => resolve({ ...EXTERNAL, external: { postgres: url } }))
  expect(option).toMatchObject({ code: 'INFRA_CONFIG_INVALID', message: noUrl('external.postgres', 'postgres') })
})

test.for(['localhost:6379', 'redis://:sword#fish@localhost', 'unix:///run/redis.sock', 'redis://localhost:0', '6379'])(
  'REDIS_URL=%s is refused',
  async (url) => {
    const options = { ...EXTERNAL, services: ['redis'] }
    const error = await catchInfraError(() => resolve(options, { envFile: `REDIS_URL="${url}"` }))
    expect(error).toMatchObject({ code: 'INFRA_CONFIG_INVALID', message: noUrl('REDIS_URL (.env:1)', 'redis') })
  },
)

test.for([
  ['DB_PORT', '5432/shop'],
  ['DB_PORT', '0'],
  ['POSTGRES_PORT', 'postgres'],
] as const)('%s=%s next to DB_HOST is refused by its name and line', async ([name, value]) => {
  const envFile = `${HERE}DB_HOST=localhost\n${name}=${value}\n`
  const error = await catchInfraError(() => resolve(EXTERNAL, { envFile }))
  expect(error).toMatchObject({
    code: 'INFRA_PORT_INVALID',
    message:
      `Cannot use ${name} (.env:3): "${value}" is not a port\n` +
      `Set ${name} (.env:3) to a whole number from 1 to 65535`,
  })
})

test('a host that is not allowed is refused with the line that names it', async () => {
  const envFile = `${HERE}\nDATABASE_URL=postgres://ada:swordfish@db.prod.example.com/shop\n`
  const error = await catchInfraError(() => resolve(EXTERNAL, { envFile }))
  expect(error).toMatchObject({
    code: 'INFRA_HOST_REFUSED',
    message:
      'Cannot use the PostgreSQL on "db.prod.example.com", which DATABASE_URL (.env:3) names: it is neither on this machine nor among the allowed hosts\n' +
      "Let DATABASE_URL (.env:3) lead to a test server; if that is one, add 'db.prod.example.com' to external.allowedHosts or to VITEST_INFRA_ALLOWED_HOSTS",
  })
})

test.for([
  ['external must be an object, but is "postgres://localhost"', { external: 'postgres://localhost' }],
  ['external.postgres must be a string', { external: { postgres: 5432 } }],
  ['external.redis must not be empty', { external: { redis: '' } }],
  ['external.url is not an option', { external: { url: 'postgres://ada:swordfish@localhost' } }],
  ['external.allowedHosts must be a list, but is "localhost"', { external: { allowedHosts: 'localhost' } }],
  ['external.allowedHosts.0 must not be empty, but is ""', { external: { allowedHosts: [''] } }],
] as const)('options are refused: %s', async ([fault, options]) => {
  const error = await catchInfraError(() => resolve(options))
  expect(error).toMatchObject({
    code: 'INFRA_CONFIG_INVALID',
    message: `Cannot use the options of infra(): ${fault}\nCorrect them; README.md, "Configuration", lists every option`,
  })
})

test.for([
  [
    { postgres: { isolation: 'schema' } },
    `Cannot use postgres.isolation 'schema' with the provider "auto": it is for roles of somebody else's server that may not create databases\nLeave postgres.isolation at 'database', or take the provider 'external'`,
  ],
  [
    {
      ...EXTERNAL,
      services: ['postgres'],
      postgres: { isolation: 'schema' },
      external: { postgres: 'postgres://a:b@localhost' },
    },
    "Cannot use postgres.isolation 'schema': nothing names the database in which to make schemas\nAdd it to the URL, as in postgres://user:password@host:5432/database, or set DB_NAME",
  ],
  [
    {
      ...EXTERNAL,
      services: ['postgres'],
      postgres: { isolation: 'schema', extensions: ['citext'] },
      external: { postgres: 'postgres://a:b@localhost/app' },
    },
    `Cannot create extension "citext" with postgres.isolation 'schema': a database has it once, in one of its schemas\nHave it created beforehand, such as by CREATE EXTENSION "citext" SCHEMA public; then add ?options=-c%20search_path=public to the URL, and take it out of extensions`,
  ],
] as const)('schemas are refused where they are not supported: %j', async ([options, message]) => {
  const error = await catchInfraError(() => resolve(options))
  expect(error).toMatchObject({ code: 'INFRA_CONFIG_INVALID', message })
})
