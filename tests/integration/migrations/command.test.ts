import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import type { PostgresAddress } from '../../../src/environment/variable-set.ts'
import { command } from '../../../src/migrations.ts'
import { catchInfraError } from '../../unit/support/catch-infra-error.ts'
import { buildTemplate, createDatabase, FIXTURES, planTemplate, readTables } from './build-template.ts'

const NPM_RUN = ['npm', 'run', '--silent', 'db:migrate'] as const

/** A copy of the project with a further migration. */
function copyWith(name: string, sql: string): string {
  const root = mkdtempSync(join(tmpdir(), 'vitest-infra-command-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  cpSync(join(FIXTURES, 'command'), root, { recursive: true })
  writeFileSync(join(root, 'db', name), sql)
  mkdirSync(join(root, 'node_modules'))
  symlinkSync(dirname(fileURLToPath(import.meta.resolve('pg/package.json'))), join(root, 'node_modules/pg'))
  return root
}

async function run(server: PostgresAddress, sql: string): Promise<void> {
  const plan = await planTemplate(async ({ pool }) => pool.query(sql))
  await plan.build(server)
}

test('command() runs a script of the project', async () => {
  const client = await buildTemplate(command(NPM_RUN, { cwd: 'command', files: ['db'] }))
  expect(await readTables(client)).toEqual({ authors: ['id', 'name'], books: ['id', 'author_id', 'title'] })
})

test('command() shows all output in order, without the password', async () => {
  const root = copyWith('3_broken.sql', 'ALTER TABLE nowhere ADD COLUMN born date')
  const server = await createDatabase()
  const address = { ...server, user: `migrator_${process.pid}`, password: 'correct horse/battery' }
  await run(server, `CREATE ROLE ${address.user} SUPERUSER LOGIN PASSWORD '${address.password}'`)
  onTestFinished(() => run(server, `DROP OWNED BY ${address.user} CASCADE; DROP ROLE ${address.user}`))
  const plan = await planTemplate(command(NPM_RUN, { files: ['db'] }), root)
  const { message } = await catchInfraError(() => plan.build(address))
  const url = `postgres://${address.user}:***@${address.host}:${address.port}/${address.database}`
  expect(message.split('\n')).toEqual([
    'Cannot fill the template: npm run --silent db:migrate exited with code 3',
    '$ npm run --silent db:migrate',
    `applying 1_authors.sql to ${url}`,
    `applying 2_books.sql to ${url}`,
    `applying 3_broken.sql to ${url}`,
    '3_broken.sql: relation "nowhere" does not exist (password ***)',
    'giving up',
    'Correct the error in its output and run the tests again',
  ])
})

test('command() stops a program at its timeout', async () => {
  const step = command(['npm', 'run', '--silent', 'db:wait'], { cwd: 'command', files: [], timeoutMs: 1_500 })
  await expect(buildTemplate(step)).rejects.toThrow(
    'Cannot fill the template: npm run --silent db:wait in command did not exit within 1500 ms\n' +
      '$ npm run --silent db:wait\nwaiting\nRaise its option timeoutMs, or find out why it does not exit',
  )
})

test('command() reports a missing program', async () => {
  await expect(buildTemplate(command(['no-such-program', 'up'], { files: [] }))).rejects.toThrow(
    'Cannot fill the template: no-such-program up could not be started: spawn no-such-program ENOENT\n' +
      '$ no-such-program up\n(no output)\n' +
      'Install "no-such-program" or correct its name; node_modules/.bin and PATH were searched',
  )
})

test.skipIf(process.platform === 'win32')('command() finds programs of the project and uses no shell', async () => {
  const root = copyWith('3_none.sql', '')
  const program = join(root, 'node_modules/.bin/own-migrate')
  mkdirSync(dirname(program))
  writeFileSync(program, '#!/bin/sh\nprintf "[%s]" "$@" "$GREETING" "$DB_NAME"\nexit 1\n')
  chmodSync(program, 0o755)
  mkdirSync(join(root, 'packages/db'), { recursive: true })
  const step = command(['own-migrate', '$HOME; echo "*"', "it's"], {
    cwd: 'packages/db',
    files: [],
    env: ({ env }) => ({ GREETING: `hello ${env['DB_NAME']}` }),
  })
  const address = await createDatabase()
  const plan = await planTemplate(step, root)
  const { message } = await catchInfraError(() => plan.build(address))
  expect(message).toContain(`\n[$HOME; echo "*"][it's][hello ${address.database}][${address.database}]\n`)
})
