import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { createProject } from '../support/create-project.ts'
import { openProjectReader } from '../support/read-project-in-node.ts'

const reader = await openProjectReader()
afterAll(() => reader.close())

const MIGRATIONS = pathToFileURL(join(import.meta.dirname, '../../../src/migrations.ts')).href
const NO_OBJECT = ['Cannot use %: its default export is not an object', 'Write: export default defineInfra({ … })']
const CORRECT =
  'Correct it; Node loads the file without a bundler, so write imports with file extensions, and erasable TypeScript only'
const OPTIONS = 'Correct them; README.md, "Configuration", lists every option'

/** The content of `infra.config.ts`, and the whole message; `%` is the file. */
const files: readonly (readonly [code: string, text: string, problem: string, remedy: string])[] = [
  // What it exports
  ...['', 'export const options = {}\n', 'export default null\n', 'export default () => ({})\n'].map(
    (text) => ['INFRA_CONFIG_LOAD', text, NO_OBJECT[0] ?? '', NO_OBJECT[1] ?? ''] as const,
  ),
  [
    'INFRA_CONFIG_LOAD',
    'export default Promise.resolve({})\n',
    'Cannot use %: its default export is a promise',
    'Write: export default await …',
  ],
  [
    'INFRA_CONFIG_LOAD',
    'export default Promise.reject(new Error("no"))\n',
    'Cannot use %: its default export is a promise',
    'Write: export default await …',
  ],
  [
    'INFRA_CONFIG_INVALID',
    'export default [{}]\n',
    'Cannot use the options of %: the whole must be an object, but is a list',
    OPTIONS,
  ],
  [
    'INFRA_CONFIG_INVALID',
    'export default { postgre: {} }\n',
    'Cannot use the options of %: postgre is not an option',
    OPTIONS,
  ],
  // How it ends
  ['INFRA_CONFIG_LOAD', '\nthrow new Error("no licence")\n', 'Cannot load %:2: no licence', CORRECT],
  [
    'INFRA_CONFIG_LOAD',
    'const a = null\n\na.b()\n',
    "Cannot load %:3: Cannot read properties of null (reading 'b')",
    CORRECT,
  ],
  ['INFRA_CONFIG_LOAD', 'await Promise.reject("no licence")\n', 'Cannot load %: no licence', CORRECT],
  ['INFRA_CONFIG_LOAD', 'throw null\n', 'Cannot load %: null', CORRECT],
  [
    'INFRA_CONFIG_LOAD',
    'export default {\n  postgres: nowhere,\n}\n',
    'Cannot load %:2: nowhere is not defined',
    CORRECT,
  ],
  // What Node does not read
  [
    'INFRA_CONFIG_LOAD',
    '\nenum A { B }\n',
    'Cannot load %:2: TypeScript enum is not supported in strip-only mode',
    CORRECT,
  ],
  [
    'INFRA_CONFIG_LOAD',
    `import { nowhere } from 'node:fs'\n`,
    "Cannot load %:1: The requested module 'node:fs' does not provide an export named 'nowhere'",
    CORRECT,
  ],
  // Refused by one of our functions, at the line of the call
  ...(
    [
      [
        'sqlFolder',
        `'db', { convention: 'liquibase' }`,
        'convention must be "plain" or "golang-migrate" or "dbmate" or "goose" or "flyway", but is "liquibase"',
      ],
      ['sqlFolder', `'db', { exclude: 'old' }`, 'exclude must be RegExp, but is "old"'],
      ['sqlFolder', `['db']`, 'folder must be a string, but is a list'],
      ['pgDump', `'a.sql', { missingRoles: 'ignore' }`, 'missingRoles must be "fail" or "skip", but is "ignore"'],
      ['pgDump', ``, 'file is missing'],
      ['command', `'npm run migrate', { files: [] }`, 'words must be a list, but is "npm run migrate"'],
      ['command', `[], { files: [] }`, 'words must not be empty, but is a list'],
      ['command', `['migrate']`, 'files is missing'],
      ['knex', `{ folders: 'db' }`, 'folders is not an option'],
      ['knex', `{ timeoutMs: '5s' }`, 'timeoutMs must be a number, but is "5s"'],
      ['knex', `null`, 'the whole must be an object, but is null'],
      ['kysely', `{ migrator: [] }`, 'migrator must be an object, but is a list'],
      ['typeorm', `{ folder: 'db' }`, 'dataSource is missing'],
      ['drizzle', `{ folder: '' }`, 'folder must not be empty, but is ""'],
      ['prisma', `{ env: ['A=1'] }`, 'env must be an object of names and text, or a function, but is a list'],
      ['sequelize', `{ args: '--debug' }`, 'args must be a list, but is "--debug"'],
      ['nodePgMigrate', `{ cwd: 5 }`, 'cwd must be a string, but is 5'],
    ] as const
  ).map(
    ([name, given, fault]) =>
      [
        'INFRA_CONFIG_INVALID',
        `import { ${name} } from '${MIGRATIONS}'\n\nexport default { postgres: { migrations: ${name}(${given}) } }\n`,
        `Cannot load %:3: Cannot use the arguments of ${name}(): ${fault}`,
        `Correct them; the types of ${name}() list them`,
      ] as const,
  ),
]

test.for(files)('%s for an infra.config.ts of %j', async ([code, text, problem, remedy]) => {
  const root = createProject({ 'package.json': '{ "type": "module" }', 'infra.config.ts': text })
  const { error } = await reader.read({ directory: root })
  expect(error).toMatchObject({ isInfraError: true, code })
  expect(error?.message).toBe(`${problem}\n${remedy}`.replaceAll('%', join(root, 'infra.config.ts')))
})

test.for([
  ['infra.config.ts', 'infra.config.mts', 'export default {}\n', "Unexpected token 'export'"],
  ['infra.config.js', 'infra.config.mjs', "import 'node:fs'\n", 'Cannot use import statement outside a module'],
] as const)('%s in a CommonJS package is to be called %s', async ([name, better, text, fault]) => {
  const root = createProject({ 'package.json': '{ "type": "commonjs" }', [name]: text })
  const { error } = await reader.read({ directory: root })
  expect(error?.message).toBe(
    `Cannot load ${join(root, name)}:1: ${fault}\n` +
      `Name it ${better}, or set "type": "module" in package.json: it is "commonjs", so Node does not load the file as a module`,
  )
  const renamed = createProject({ 'package.json': '{ "type": "commonjs" }', [better]: 'export default {}\n' })
  expect(await reader.read({ directory: renamed })).toMatchObject({ spec: { provider: 'auto' } })
})

// V8 does not report the place in the file.
test('a truncated infra.config.mjs is refused with the cause', async () => {
  const root = createProject({ 'infra.config.mjs': 'export default { postgres: \n' })
  const { error } = await reader.read({ directory: root })
  expect(error).toMatchObject({ isInfraError: true, code: 'INFRA_CONFIG_LOAD', cause: 'SyntaxError' })
  expect(error?.message).toBe(`Cannot load ${join(root, 'infra.config.mjs')}: Unexpected end of input\n${CORRECT}`)
})

test.for([
  [
    'an import without extension',
    `import './names'\nexport default {}\n`,
    /^Cannot load %: Cannot find module .*names/,
  ],
  ['a package that is not there', `import 'nowhere-at-all'\n`, /^Cannot load %: Cannot find package 'nowhere-at-all'/],
] as const)('an infra.config.ts with %s is refused', async ([, text, message]) => {
  const root = createProject({ 'package.json': '{ "type": "module" }', 'infra.config.ts': text, 'names.ts': '' })
  const { error } = await reader.read({ directory: root })
  expect(error?.code).toBe('INFRA_CONFIG_LOAD')
  expect(error?.message.replace(join(root, 'infra.config.ts'), '%')).toMatch(message)
})

test('a folder named infra.config.ts is refused', async () => {
  const root = createProject({ 'infra.config.ts/readme.md': '' })
  const { error } = await reader.read({ directory: root })
  expect(error?.code).toBe('INFRA_CONFIG_LOAD')
  expect(error?.message).toContain(`Cannot load ${join(root, 'infra.config.ts')}: Directory import`)
})

test("invalid plugin options are reported as such, not as infra.config's", async () => {
  const root = createProject({ 'infra.config.mjs': 'export default {}\n' })
  const { error } = await reader.read({ directory: root, options: { postgre: {} } as object })
  expect(error?.message).toBe(`Cannot use the options of infra(): postgre is not an option\n${OPTIONS}`)
})

test.for(['.env', '.env.example'])('a folder named %s is refused', async (name) => {
  const root = createProject({ 'package.json': '{}' })
  mkdirSync(join(root, name))
  const { error } = await reader.read({ directory: root })
  expect(error?.code).toBe('INFRA_CONFIG_LOAD')
  expect(error?.message).toBe(
    `Cannot read ${join(root, name)}: EISDIR: illegal operation on a directory, read\n` +
      'Make it a file that can be read, or remove it',
  )
})

test.for(['.env', '.env.example'])('%s in UTF-16, as Windows PowerShell writes it, is refused', async (name) => {
  const root = createProject({ 'package.json': '{}' })
  writeFileSync(join(root, name), Buffer.from('\ufeffPOSTGRES_USER=shop\r\n', 'utf16le'))
  const { error } = await reader.read({ directory: root })
  expect(error?.code).toBe('INFRA_CONFIG_LOAD')
  expect(error?.message).toBe(`Cannot read ${join(root, name)}: the file is not UTF-8 text\nSave the file as UTF-8`)
})

test('an invalid line of .env is named', async () => {
  const root = createProject({ '.env': '# ours\nPOSTGRES_PASSWORD="secret\n' })
  const { error } = await reader.read({ directory: root })
  expect(error?.code).toBe('INFRA_CONFIG_INVALID')
  expect(error?.message).toBe(
    'Cannot read POSTGRES_PASSWORD from .env:2: its quote " is not closed\n' +
      'Close the quote; enclose a value that begins with a quote in quotes of another kind',
  )
})

test('a dangling link named infra.config.ts is ignored', async () => {
  const root = createProject({ 'package.json': '{}' })
  symlinkSync(join(root, 'gone.ts'), join(root, 'infra.config.ts'))
  expect((await reader.read({ directory: root })).spec?.provider).toBe('auto')
})
