import { expect, onTestFinished, test } from 'vitest'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { command, drizzle, knex, kysely, typeorm } from '../../../src/migrations.ts'
import { catchInfraError } from '../../unit/support/catch-infra-error.ts'
import { buildTemplate, createDatabase, FIXTURES, planTemplate } from './build-template.ts'

/** A copy of a tool's project, outside of the repository and so without any package. */
function copyProject(tool: string): string {
  const root = mkdtempSync(join(tmpdir(), 'vitest-infra-migrations-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  cpSync(join(FIXTURES, tool), root, { recursive: true })
  return root
}

test.for([
  { tool: 'knex', step: knex(), packages: 'knex' },
  { tool: 'kysely', step: kysely(), packages: 'kysely' },
  { tool: 'drizzle', step: drizzle(), packages: 'drizzle-orm and pg' },
])('$tool fails with the install command if the project lacks it', async ({ tool, step, packages }) => {
  const root = copyProject(tool)
  const { message } = await catchInfraError(() => buildTemplate(step, root))
  const from = tool === 'drizzle' ? join(root, 'drizzle') : root
  expect(message).toBe(
    `Cannot migrate with ${tool}: ${packages} cannot be found from ${from}\n` +
      `Run: npm install --save-dev ${packages.replace(' and ', ' ')}`,
  )
})

test.for([
  {
    name: 'knex migrate:latest in knex',
    step: knex({ cwd: 'knex', folder: 'db' }),
    path: 'db',
    root: `${FIXTURES}/knex`,
  },
  { name: 'drizzle', step: drizzle({ folder: 'db' }), path: 'db', root: FIXTURES },
  { name: 'true in db', step: command(['true'], { cwd: 'db', files: [] }), path: 'db', root: FIXTURES },
])('$name fails without its folder', async ({ name, step, path, root }) => {
  const { code, message } = await catchInfraError(() => buildTemplate(step))
  expect(code).toBe('INFRA_SEED_MISSING')
  expect(message).toBe(
    `Cannot fill the template: ${name} needs "${path}", which does not exist\n` +
      `Create it, or correct the path in postgres.migrations (relative paths start from ${root})`,
  )
})

test('a tool that migrates another database is detected', async () => {
  const { host, port, user, password, database } = await createDatabase()
  const ELSEWHERE = `postgres://${user}:${password}@${host}:${port}/${database}`
  const options = { cwd: 'typeorm', dataSource: 'src/elsewhere.ts', folder: 'src/migrations' }
  await expect(buildTemplate(typeorm({ ...options, env: { ELSEWHERE } }))).rejects.toThrow(
    /^Cannot fill the template: typeorm .* exited with code 0 but left the database empty\n/,
  )
  // The remedy that the error names.
  await buildTemplate(typeorm({ ...options, env: ({ url }) => ({ ELSEWHERE: url }) }))
})

test('a tool that migrates another database is detected despite objects of extensions', async () => {
  const address = await createDatabase()
  await (await planTemplate(async ({ pool }) => pool.query('CREATE EXTENSION hstore'))).build(address)
  const plan = await planTemplate(command(['node', '--version'], { files: [] }))
  await expect(plan.build(address)).rejects.toThrow('exited with code 0 but left the database empty')
})

test('an edited migration, a changed option and a changed variable each make a new template', async () => {
  const root = copyProject('knex')
  const fingerprintOf = async (step = knex()) => (await planTemplate(step, root)).inputs
  const sized = (size: string) => () => ({ SIZE: size })
  const first = await fingerprintOf()
  expect(await fingerprintOf(knex({ timeoutMs: 1 }))).toBe(first)
  const others = [
    await fingerprintOf(knex({ env: { SIZE: 'small' } })),
    await fingerprintOf(knex({ env: { SIZE: 'large' } })),
    await fingerprintOf(knex({ env: sized('small') })),
    await fingerprintOf(knex({ env: sized('large') })),
    await fingerprintOf(knex({ args: ['--env', 'test'] })),
    await fingerprintOf(knex({ nodeArgs: ['--conditions=test'] })),
    await fingerprintOf(knex({ folder: 'broken' })),
  ]
  writeFileSync(join(root, 'knexfile.js'), 'export default {}')
  others.push(await fingerprintOf())
  mkdirSync(join(root, 'node_modules/knex'), { recursive: true })
  writeFileSync(join(root, 'node_modules/knex/package.json'), '{ "version": "1.2.3" }')
  others.push(await fingerprintOf())
  mkdirSync(join(root, 'migrations/below'))
  writeFileSync(join(root, 'migrations/below/3.js'), '')
  others.push(await fingerprintOf())
  expect(new Set([first, ...others]).size).toBe(others.length + 1)
})
