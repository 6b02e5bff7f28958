import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { InfraOptions } from '../../src/config/infra-options.ts'
import { createProject } from './support/create-project.ts'
import { openProjectReader } from './support/read-project-in-node.ts'

const reader = await openProjectReader()
afterAll(() => reader.close())

const CONFIG = `export default { postgres: { user: 'from-config' } }\n`

test('readProject() needs no files', async () => {
  const root = createProject({})
  const { spec } = await reader.read({ directory: root })
  expect(spec).toMatchObject({ root, provider: 'auto', postgres: { user: 'postgres', database: 'app' } })
})

test('readProject() uses the generated password unless one is set', async () => {
  const passwordOf = async (directory: string, options: InfraOptions = {}) =>
    (await reader.read({ directory, options })).spec?.postgres?.password
  const password = await passwordOf(createProject({}))
  expect(password).toMatch(/^[0-9a-f]{32}$/)
  expect(await passwordOf(createProject({}))).toBe(password)
  expect(await passwordOf(createProject({}), { postgres: { password: 'chosen' } })).toBe('chosen')
  expect(await passwordOf(createProject({ '.env': 'POSTGRES_PASSWORD=chosen' }))).toBe('chosen')
})

test('readProject() resolves paths from defaultRoot without an infra.config', async () => {
  const root = createProject({ 'packages/a/package.json': '{}', '.env': 'POSTGRES_DB=root' })
  const { spec } = await reader.read({ directory: join(root, 'packages/a'), defaultRoot: root })
  expect(spec).toMatchObject({ root, postgres: { database: 'root' } })
})

test.for(['infra.config.ts', 'infra.config.mts', 'infra.config.js', 'infra.config.mjs'])(
  'readProject() reads %s',
  async (name) => {
    const root = createProject({ 'package.json': '{ "type": "module" }', [name]: CONFIG })
    expect((await reader.read({ directory: root })).spec).toMatchObject({ root, postgres: { user: 'from-config' } })
  },
)

test('readProject() reads TypeScript and what it imports', async () => {
  const root = createProject({
    'package.json': '{ "type": "module" }',
    'names.ts': `export const user: string = 'imported'\n`,
    'infra.config.ts': `import { user } from './names.ts'\ninterface A { b: string }\nexport default { postgres: { user } satisfies object as { user: string } }\n`,
  })
  expect((await reader.read({ directory: root })).spec).toMatchObject({ postgres: { user: 'imported' } })
})

test("readProject() finds infra.config upward, up to the repository's root", async () => {
  const root = createProject({
    '.git/HEAD': '',
    'infra.config.ts': CONFIG,
    '.env': 'POSTGRES_DB=beside',
    'packages/a/package.json': '{}',
    'packages/a/.env': 'POSTGRES_DB=elsewhere',
  })
  const directory = join(root, 'packages/a')
  const { spec } = await reader.read({ directory, defaultRoot: directory })
  expect(spec).toMatchObject({ root, postgres: { user: 'from-config', database: 'beside' } })
})

test('readProject() uses the nearest infra.config', async () => {
  const root = createProject({
    '.git/HEAD': '',
    'infra.config.ts': `export default { provider: 'docker' }\n`,
    'packages/a/infra.config.mjs': CONFIG,
  })
  const { spec } = await reader.read({ directory: join(root, 'packages/a') })
  expect(spec).toMatchObject({ root: join(root, 'packages/a'), provider: 'auto', postgres: { user: 'from-config' } })
})

test.for([
  ['the repository', 'packages/a/.git/HEAD'],
  ['a work tree', 'packages/a/.git'],
  ['the package, where there is no repository', 'packages/a/package.json'],
] as const)('readProject() does not search above %s', async ([, marker]) => {
  const root = createProject({ 'infra.config.ts': 'throw new Error("read")', [marker]: '{}', 'packages/a/b/c.ts': '' })
  const { spec } = await reader.read({ directory: join(root, 'packages/a/b') })
  expect(spec).toMatchObject({ root: join(root, 'packages/a/b'), postgres: { user: 'postgres' } })
})

test('readProject() searches above a package inside a repository', async () => {
  const root = createProject({ '.git/HEAD': '', 'infra.config.ts': CONFIG, 'packages/a/package.json': '{}' })
  expect((await reader.read({ directory: join(root, 'packages/a') })).spec?.root).toBe(root)
})

// A checkout copied into a container has no .git.
test("readProject() searches up to Vitest's folder outside a repository", async () => {
  const root = createProject({ 'infra.config.ts': CONFIG, 'package.json': '{}', 'packages/a/package.json': '{}' })
  expect((await reader.read({ directory: join(root, 'packages/a'), defaultRoot: root })).spec?.root).toBe(root)
})

test('readProject() prefers the options to infra.config', async () => {
  const root = createProject({
    'infra.config.ts': `export default { libpqEnv: true, postgres: { user: 'config', database: 'config' } }\n`,
  })
  const options = { postgres: { database: 'option' } }
  const { spec } = await reader.read({ directory: root, options })
  expect(spec).toMatchObject({ libpqEnv: true, postgres: { user: 'config', database: 'option' } })
})

test('readProject() reads .env and .env.example next to it, with lower priority than the environment', async () => {
  const root = createProject({
    '.env': 'POSTGRES_USER=env\nPOSTGRES_DB=env\n',
    '.env.example': 'POSTGRES_USER=example\nPOSTGRES_DB=example\nPOSTGRES_PASSWORD=example\n',
  })
  const { spec } = await reader.read({ directory: root, environment: { POSTGRES_USER: 'process' } })
  expect(spec?.postgres).toMatchObject({ user: 'process', database: 'env', password: 'example' })
})

test('readProject() checks a fixed port against .env.example', async () => {
  const root = createProject({ '.env.example': 'POSTGRES_PORT=5432\n' })
  const { error } = await reader.read({ directory: root, options: { redis: { port: 'env' } } })
  expect(error?.code).toBe('INFRA_PORT_VARIABLE_MISSING')
})
