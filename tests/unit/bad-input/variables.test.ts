import { expect, test } from 'vitest'
import type { InfraErrorCode } from '../../../src/errors.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'
import { resolve } from '../support/resolve.ts'

/** Options with which every variable is looked at. */
const OPTIONS = { postgres: { port: 'env' }, redis: { port: 'env' } }
const LIST = 'README.md, "Configuration", lists every variable'

/** A variable, its value, the code, the problem and the remedy; `%` is the variable and its place. */
const variables: readonly (readonly [
  name: string,
  value: string,
  code: InfraErrorCode,
  problem: string,
  remedy: string,
])[] = [
  ...['-1', '+1', '1e3', '0x10', '5432.5', '70000', '0', '6379a', '５４３２', 'postgres://localhost:5432'].map(
    (value) =>
      [
        'POSTGRES_PORT',
        value,
        'INFRA_PORT_INVALID',
        `Cannot use %: "${value}" is not a port`,
        'Set % to a whole number from 1 to 65535',
      ] as const,
  ),
  [
    'REDIS_PORT',
    'env',
    'INFRA_PORT_INVALID',
    'Cannot use %: "env" is not a port',
    'Set % to a whole number from 1 to 65535',
  ],
  [
    'POSTGRES_USER',
    'pg_shop',
    'INFRA_CONFIG_INVALID',
    'Cannot use %: postgres.user must not begin with "pg_", which PostgreSQL keeps for itself, but is "pg_shop"',
    `Correct %; ${LIST}`,
  ],
  [
    'POSTGRES_DB',
    'a'.repeat(64),
    'INFRA_CONFIG_INVALID',
    `Cannot use %: postgres.database must not be longer than 63 bytes, but is "${'a'.repeat(64)}"`,
    `Correct %; ${LIST}`,
  ],
  [
    'POSTGRES_PASSWORD',
    'secret\0',
    'INFRA_CONFIG_INVALID',
    'Cannot use %: postgres.password must not contain a NUL character',
    `Correct %; ${LIST}`,
  ],
  [
    'VITEST_INFRA_POSTGRES_IMAGE',
    'postgres:',
    'INFRA_CONFIG_INVALID',
    'Cannot use %: postgres.image must be the name of an image, such as "postgres:18-alpine", but is "postgres:"',
    `Correct %; ${LIST}`,
  ],
  [
    'VITEST_INFRA_REDIS_IMAGE',
    'https://user:***@registry',
    'INFRA_CONFIG_INVALID',
    'Cannot use %: redis.image must be the name of an image, such as "postgres:18-alpine", but is "https://user:***@registry"',
    `Correct %; ${LIST}`,
  ],
  [
    'VITEST_INFRA_PROVIDER',
    'Docker',
    'INFRA_CONFIG_INVALID',
    'Cannot use %: provider must be "auto" or "docker" or "embedded" or "external", but is "Docker"',
    `Correct %; ${LIST}`,
  ],
  [
    'VITEST_INFRA_SNAPSHOT',
    'yes',
    'INFRA_CONFIG_INVALID',
    'Cannot use %: "yes" is neither "on" nor "off"',
    'Set VITEST_INFRA_SNAPSHOT to on or off, or leave it out',
  ],
  ...['30', 'on', '0s', '600h'].map(
    (value) =>
      [
        'VITEST_INFRA_KEEP_ALIVE',
        value,
        'INFRA_DURATION_INVALID',
        `Cannot read %: "${value}" is not a duration from 1ms to 2147483647ms`,
        'Write a number and a unit, such as "500ms", "5s", "1m30s" or "1h"',
      ] as const,
  ),
  ...['60s', '0', '-1', '1.5', '1e5', '2147483648', '9'.repeat(400)].map(
    (value) =>
      [
        'VITEST_INFRA_STARTUP_TIMEOUT_MS',
        value,
        'INFRA_CONFIG_INVALID',
        `Cannot use %: "${value}" is not a number of milliseconds`,
        'Set VITEST_INFRA_STARTUP_TIMEOUT_MS to a whole number from 1 to 2147483647, such as 120000',
      ] as const,
  ),
]

test.for(variables)('%s=%j is refused from the process and from .env', async ([name, value, code, ...message]) => {
  const of = (place: string) => message.join('\n').replaceAll('%', place)
  const inProcess = await catchInfraError(() => resolve(OPTIONS, { process: { [name]: value } }))
  expect(inProcess).toMatchObject({ code, message: of(name) })

  const envFile = `# ${name}=1\n\n${name}='${value}'\n`
  const inFile = await catchInfraError(() => resolve(OPTIONS, { envFile }))
  expect(inFile).toMatchObject({ code, message: of(`${name} (.env:3)`) })
})

test.for([
  ['', ' 5432'],
  ['', '5432 '],
] as const)('the port %j%j is refused from the process, whose whitespace is not trimmed', async ([, value]) => {
  const error = await catchInfraError(() => resolve(OPTIONS, { process: { POSTGRES_PORT: value } }))
  expect(error).toMatchObject({
    code: 'INFRA_PORT_INVALID',
    message: `Cannot use POSTGRES_PORT: "${value}" is not a port\nSet POSTGRES_PORT to a whole number from 1 to 65535`,
  })
})

const NOT_SET = (name: string) => ['the line does not set it', `Write ${name}=value`] as const
const NOT_CLOSED = (quote: string) =>
  [
    `its quote ${quote} is not closed`,
    'Close the quote; enclose a value that begins with a quote in quotes of another kind',
  ] as const

/** A file of variables, the variable, its line, and the problem. */
const files: readonly (readonly [text: string, name: string, line: number, reason: readonly [string, string]])[] = [
  ['POSTGRES_USER="shop\nPOSTGRES_DB=orders\n', 'POSTGRES_USER', 1, NOT_CLOSED('"')],
  ["A=1\r\nexport POSTGRES_USER = 'shop\r\n", 'POSTGRES_USER', 2, NOT_CLOSED("'")],
  ['POSTGRES_PASSWORD=`secret\n', 'POSTGRES_PASSWORD', 1, NOT_CLOSED('`')],
  ['\ufeffPOSTGRES_PASSWORD="secret', 'POSTGRES_PASSWORD', 1, NOT_CLOSED('"')],
  ['A="\nPOSTGRES_DB="\nPOSTGRES_DB="shop\n', 'POSTGRES_DB', 3, NOT_CLOSED('"')],
  ['POSTGRES_USER: shop\n', 'POSTGRES_USER', 1, NOT_SET('POSTGRES_USER')],
  ['\n\n  POSTGRES_PORT:5432\n', 'POSTGRES_PORT', 3, NOT_SET('POSTGRES_PORT')],
  ['REDIS_PORT\r\n', 'REDIS_PORT', 1, NOT_SET('REDIS_PORT')],
]

test.for(files)('%j is refused for %s', async ([text, name, line, [reason, remedy]]) => {
  for (const [key, file] of Object.entries({ envFile: '.env', envExample: '.env.example' })) {
    // The example must name the ports, whatever their source.
    const error = await catchInfraError(() => resolve({ ...OPTIONS }, { [key]: text }))
    expect(error).toMatchObject({
      code: 'INFRA_CONFIG_INVALID',
      message: `Cannot read ${name} from ${file}:${line}: ${reason}\n${remedy}`,
    })
  }
})

test('a multi-line value is refused at its first line, after an unclosed quote', async () => {
  const envFile = 'A=1\nPOSTGRES_USER="shop\nPOSTGRES_DB="orders"\n'
  const error = await catchInfraError(() => resolve({}, { envFile }))
  expect(error).toMatchObject({
    code: 'INFRA_CONFIG_INVALID',
    message:
      String.raw`Cannot use POSTGRES_USER (.env:2): postgres.user must be a single line, but is "shop\nPOSTGRES_DB="` +
      `\nCorrect POSTGRES_USER (.env:2); ${LIST}`,
  })
})

test.for([
  ['\ufeffPOSTGRES_USER=shop\r\nPOSTGRES_DB=orders\r\n', 'a byte order mark'],
  ['POSTGRES_USER=\'shop\'\nPOSTGRES_DB="orders" # rest\nOTHER="not ours\n', "another's quote that is not closed"],
  [
    'NOTE="\nPOSTGRES_USER: none\nPOSTGRES_DB\n"\nPOSTGRES_USER=shop\nPOSTGRES_DB=orders\n',
    "lines in another's quotes",
  ],
  ['__proto__=a\nconstructor=b\nsome prose\nPOSTGRES_USER=shop\nPOSTGRES_DB=orders\n', "lines that are nobody's"],
  ['POSTGRES_USER=a\nPOSTGRES_USER=shop\nPOSTGRES_DB=orders\n', 'a variable that is set twice'],
] as const)('%j is parsed as Node parses it, with %s', ([envFile]) => {
  expect(resolve({}, { envFile }).postgres).toMatchObject({ user: 'shop', database: 'orders' })
})

test('a value that begins with a quote is written in another kind of quotes', () => {
  expect(resolve({}, { envFile: `POSTGRES_PASSWORD='"secret'\n` }).postgres?.password).toBe('"secret')
})

test('a variable that an option overrides is not read', () => {
  const process = { POSTGRES_USER: 'pg_shop', VITEST_INFRA_POSTGRES_IMAGE: ':' }
  expect(resolve({ postgres: { user: 'shop', image: 'postgres' } }, { process }).postgres?.user).toBe('shop')
})
