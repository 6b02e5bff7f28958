import { spawnSync } from 'node:child_process'
import { parseEnv } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { renderVariables } from '../../../src/environment/render-variables.ts'
import { InfraError } from '../../../src/errors.ts'
import { anyText, forAll, unlessRefused } from './for-all.ts'

const values = fc.array(anyText, { minLength: 1, maxLength: 20 })

/** Under names of their own. */
function named(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(texts.map((text, index) => [`V_${index}`, text]))
}

describe.skipIf(process.platform === 'win32')('sh', () => {
  test(
    'a shell takes every value as it is',
    forAll(
      values,
      (texts) => {
        const print = texts.map((_, index) => `"$V_${index}"`).join(' ')
        const script = `${renderVariables(named(texts), 'shell')}printf '%s\\0' ${print}\n`
        const { stdout, status, stderr } = spawnSync('sh', ['-c', script])
        expect([status, stderr.toString()]).toEqual([0, ''])
        expect(stdout).toEqual(Buffer.from(texts.map((text) => `${text}\0`).join('')))
      },
      { runs: 100 },
    ),
  )

  test(
    'a shell that reads dotenv takes what has no quote of its own as it is',
    forAll(
      values.map((texts) => texts.map((text) => text.replaceAll(/['\r]/g, ''))),
      (texts) => {
        const print = texts.map((_, index) => `"$V_${index}"`).join(' ')
        const { stdout } = spawnSync('sh', [
          '-c',
          `${renderVariables(named(texts), 'dotenv')}printf '%s\\0' ${print}\n`,
        ])
        expect(stdout).toEqual(Buffer.from(texts.map((text) => `${text}\0`).join('')))
      },
      { runs: 50 },
    ),
  )
})

test(
  'Node reads every value of dotenv as it is, unless it is refused',
  forAll(anyText, (text) => {
    const rendered = unlessRefused(() => renderVariables({ BEFORE: 'x', NAME: text, AFTER: 'y' }, 'dotenv'))
    expect(parseEnv(rendered ?? '')).toEqual(rendered === undefined ? {} : { BEFORE: 'x', NAME: text, AFTER: 'y' })
  }),
)

test(
  'a runner of GitHub reads every value as it is',
  forAll(
    anyText.map((text) => text.replaceAll('\r', '')),
    (text) => {
      expect(readGithubEnv(renderVariables({ BEFORE: 'x', NAME: text, AFTER: 'y' }, 'github'))).toEqual({
        BEFORE: 'x',
        NAME: text,
        AFTER: 'y',
      })
    },
  ),
)

test('a GitHub value may contain its own delimiter', () => {
  expect(renderVariables({ A: 'one\nEOF\nEOF_' }, 'github')).toBe('A<<EOF__\none\nEOF\nEOF_\nEOF__\n')
})

test('json represents every value', () => {
  expect(JSON.parse(renderVariables({ 'a b': '\r\n"' }, 'json'))).toEqual({ 'a b': '\r\n"' })
})

test.for(['shell', 'dotenv', 'github'] as const)('a name that is a command is refused as %s', (format) => {
  expect(() => renderVariables({ 'A=1; rm -rf /; B': '' }, format)).toThrow(InfraError)
})

/** As the runner reads it: line by line, `NAME=value` or `NAME<<END`, up to a line END. */
function readGithubEnv(text: string): Record<string, string> {
  const lines = text.split('\n').slice(0, -1)
  const variables: Record<string, string> = {}
  while (lines.length > 0) {
    const line = lines.shift() ?? ''
    const [, heredoc, end] = /^(\w+)<<(.*)$/.exec(line) ?? []
    if (heredoc === undefined) {
      variables[line.slice(0, line.indexOf('='))] = line.slice(line.indexOf('=') + 1)
    } else {
      variables[heredoc] = lines.splice(0, lines.indexOf(end ?? '')).join('\n')
      lines.shift()
    }
  }
  return variables
}
