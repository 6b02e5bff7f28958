import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { renderCompose } from '../../../src/compose/render-compose.ts'
import { psqlCommand } from '../../../src/services/postgres.ts'
import { resolve } from '../support/resolve.ts'
import { anyText, forAll } from './for-all.ts'

const words = fc.oneof(anyText, fc.constantFrom("'", '$(ls)', '`ls`', '-rf', '*', '~', '\\', '!', 'a\nb', ''))

// The command is for people, who use another shell on Windows.
describe.skipIf(process.platform === 'win32')('sh', () => {
  test(
    'a shell reads the words of psqlCommand() as they are',
    forAll(
      fc.tuple(words, words),
      ([user, database]) => {
        const command = psqlCommand({ host: 'localhost', port: 5432, user, database })
        const script = `psql() { printf '%s\\0' "$@"; }\n${command}\n`
        const { stdout, status } = spawnSync('sh', ['-c', script], { encoding: 'utf8' })
        expect(status).toBe(0)
        expect(stdout.split('\0').slice(4, -1)).toEqual(['--username', user, database])
      },
      { runs: 100 },
    ),
  )
})

const labels = fc.dictionary(
  words.filter((name) => name.trim() !== '' && name !== '__proto__'),
  words,
)

test(
  'compose reads a healthcheck and labels as they are',
  forAll(fc.tuple(words, labels), ([text, given]) => {
    const spec = resolve({ redis: { healthcheck: { cmd: `true ${text}` }, labels: given } })
    const { redis } = (parse(renderCompose(spec)) as { services: { redis: Rendered } }).services
    expect(undollar(redis.healthcheck.test[1] ?? '')).toBe(`true ${text}`)
    expect(Object.entries(redis.labels ?? {}).map(([name, value]) => [name, undollar(value)])).toEqual(
      Object.entries(given),
    )
  }),
)

interface Rendered {
  readonly healthcheck: { readonly test: readonly string[] }
  readonly labels?: Readonly<Record<string, string>>
}

/** As compose does; a single dollar would have begun a variable. */
function undollar(text: string): string {
  expect(text.replaceAll('$$', '')).not.toContain('$')
  return text.replaceAll('$$', '$')
}
