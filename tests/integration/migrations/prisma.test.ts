import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { prisma, type PrismaOptions } from '../../../src/migrations.ts'
import { catchInfraError } from '../../unit/support/catch-infra-error.ts'
import { createDatabase, FIXTURES, planTemplate } from './build-template.ts'

// `prisma migrate deploy` needs an engine that Prisma downloads, so a program of ours stands in for it here: it records
// how it was called, and applies prisma/migrations as Prisma does.
const STAND_IN = `
  const { readdirSync, readFileSync, writeFileSync } = require('node:fs')
  const { Client } = require('pg')
  const { DATABASE_URL, POSTGRES_PRISMA_URL, CHECKPOINT_DISABLE, PGDATABASE } = process.env
  const env = { DATABASE_URL, POSTGRES_PRISMA_URL, CHECKPOINT_DISABLE, PGDATABASE }
  writeFileSync('called.json', JSON.stringify({ args: process.argv.slice(2), cwd: process.cwd(), env }))
  async function main() {
    const client = new Client(DATABASE_URL)
    await client.connect()
    for (const name of readdirSync('prisma/migrations').filter((name) => !name.endsWith('.toml')).toSorted()) {
      await client.query(readFileSync('prisma/migrations/' + name + '/migration.sql', 'utf8'))
    }
    await client.end()
  }
  main().catch((error) => {
    console.error('Error: P3018\\n\\n' + error.message)
    process.exit(1)
  })`

function createProject(): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'vitest-infra-prisma-')))
  onTestFinished(() => rmSync(root, { recursive: true }))
  cpSync(join(FIXTURES, 'prisma'), root, { recursive: true })
  const folder = join(root, 'node_modules/prisma')
  mkdirSync(join(folder, 'build'), { recursive: true })
  // As in prisma 7: a command of its own, and exports that do not list all of the package.
  const manifest = {
    name: 'prisma',
    version: '7.10.1',
    bin: { prisma: 'build/index.js' },
    exports: { '.': './index.js' },
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  writeFileSync(join(folder, 'build/index.js'), STAND_IN)
  symlinkSync(dirname(fileURLToPath(import.meta.resolve('pg/package.json'))), join(root, 'node_modules/pg'))
  return root
}

async function call(root: string, options?: PrismaOptions) {
  const address = await createDatabase()
  const plan = await planTemplate(prisma(options), root)
  await plan.build(address)
  const called = JSON.parse(readFileSync(join(root, 'called.json'), 'utf8')) as Record<string, unknown>
  const url = `postgres://${address.user}:${address.password}@${address.host}:${address.port}/${address.database}`
  return { address, called, url }
}

test("prisma() runs the project's own Prisma with the database in its environment", async () => {
  const root = createProject()
  const { address, called, url } = await call(root)
  const env = { DATABASE_URL: url, CHECKPOINT_DISABLE: '1', PGDATABASE: address.database }
  expect(called).toEqual({ args: ['migrate', 'deploy'], cwd: root, env })
})

test('prisma() passes its options on', async () => {
  const root = createProject()
  const { called, url } = await call(root, {
    schema: 'prisma/schema.prisma',
    config: 'prisma.config.ts',
    env: (database) => ({ POSTGRES_PRISMA_URL: database.url }),
    args: ['--verbose'],
  })
  expect(called).toMatchObject({
    args: ['migrate', 'deploy', '--schema', 'prisma/schema.prisma', '--config', 'prisma.config.ts', '--verbose'],
    env: { POSTGRES_PRISMA_URL: url },
  })
})

test("prisma() shows Prisma's output for a failed migration", async () => {
  const root = createProject()
  writeFileSync(join(root, 'prisma/migrations/20260102000000_books/migration.sql'), 'SELECT nothing')
  const { message } = await catchInfraError(() => call(root))
  expect(message.split('\n')).toEqual([
    'Cannot fill the template: prisma migrate deploy exited with code 1',
    expect.stringMatching(/^\$ \S+ node_modules\/prisma\/build\/index\.js migrate deploy$/),
    'Error: P3018',
    '',
    'column "nothing" does not exist',
    'Correct the error in its output and run the tests again',
  ])
})

test('an edited schema, configuration or migration of Prisma makes another template', async () => {
  const root = createProject()
  const fingerprint = async () => (await planTemplate(prisma(), root)).inputs
  const fingerprints = [await fingerprint()]
  for (const file of [
    'prisma/schema.prisma',
    'prisma.config.ts',
    'prisma/migrations/20260101000000_authors/migration.sql',
  ]) {
    writeFileSync(join(root, file), '')
    fingerprints.push(await fingerprint())
  }
  expect(new Set(fingerprints).size).toBe(4)
})
