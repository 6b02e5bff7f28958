import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, inject, test } from 'vitest'
import { errorMessage } from './support/plain.ts'
import { cleanEnvironment, runVitest, startVitest } from './support/run-vitest.ts'

/** Prints what one import loads. */
const LOADED = `
  import { registerHooks } from 'node:module'
  const loaded = []
  registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) })
  await import(process.argv[1])
  console.log(JSON.stringify(loaded))`

/** The one test of a project that asks for no services. */
const NO_SERVICES = {
  'vitest.config.ts': `
    import { infra } from 'vitest-infra/plugin'
    import { defineConfig } from 'vitest/config'
    export default defineConfig({ plugins: [infra()], test: { include: ['none.test.ts'] } })`,
  'none.test.ts': `
    import { expect, inject, test } from 'vitest'
    test('has what its env option says, and no service', () => {
      expect(process.env.OWN).toBe('text')
      expect(inject('infra').services).toEqual({})
    })`,
}

describe.each(inject('consumers'))('$name', (consumer) => {
  const COMMANDS = ['list', 'list --filesOnly', 'list --staticParse=false', '--root . list --staticParse=false']
  test.for(COMMANDS)('vitest %s starts nothing', async (command) => {
    const run = await runVitest('options', { consumer, args: command.split(' ') })
    expect(run.stdout).toContain('test/options.test.ts')
    expect(run).toMatchObject({ exitCode: 0, stderr: '', created: [] })
  })

  test('a filter without a matching file starts nothing', async () => {
    const run = await runVitest('plain', { consumer, args: ['run', 'nowhere'] })
    expect(run.stderr).toContain('No test files found, exiting with code 1')
    expect(run.stderr).not.toContain('infra  ')
    expect(run).toMatchObject({ exitCode: 1, created: [] })
  })

  test('merging reports starts nothing', async () => {
    const blob = await startVitest('inline-plugins', { consumer, args: ['run', '--reporter=blob'] })
    expect(await blob.ended).toMatchObject({ exitCode: 0, created: ['redis'] })
    const merged = await runVitest('inline-plugins', { consumer, after: blob, args: ['run', '--merge-reports'] })
    expect(merged.stdout).toContain('Tests  2 passed (2)')
    expect(merged).toMatchObject({ exitCode: 0, stderr: '', created: [] })
  })

  // No engine is even looked for: there is none at that address.
  test('no services start nothing', async () => {
    const run = await runVitest('plain', {
      consumer,
      env: { DOCKER_HOST: 'unix:///nowhere/docker.sock' },
      files: { 'infra.config.ts': "export default { services: [], env: () => ({ OWN: 'text' }) }", ...NO_SERVICES },
    })
    expect(run.stdout).toContain('Tests  1 passed (1)')
    expect(run).toMatchObject({ exitCode: 0, stderr: '', created: [] })
  })

  test.for([
    [
      'infra.config.ts',
      "export default { redis: { seeds: 'nowhere' } }",
      /^Cannot load redis\.seeds: .*\nCreate it, or/,
    ],
    ['.env', 'POSTGRES_PASSWORD="secret\n', /^Cannot read POSTGRES_PASSWORD from \.env:1: .*\nClose the quote/],
  ] as const)('an invalid %s starts nothing and runs no test: %s', async ([name, text, message]) => {
    const run = await runVitest('plain', { consumer, files: { [name]: text } })
    expect(errorMessage(run.stderr)).toMatch(message)
    expect(run.stdout).not.toContain('passed')
    expect(run.stderr).not.toContain('infra  ')
    expect(run).toMatchObject({ exitCode: 1, created: [] })
  })

  test('a project without services starts nothing, even if other projects do', async () => {
    const run = await runVitest('inline-plugins', {
      consumer,
      files: {
        'vitest.config.ts': `
          import { infra } from 'vitest-infra/plugin'
          import { defineConfig } from 'vitest/config'
          const none = { plugins: [infra({ services: [] })], test: { name: 'none', include: ['none.test.ts'] } }
          const one = { plugins: [infra({ services: ['redis'] })], test: { name: 'one', exclude: ['none.test.ts'] } }
          export default defineConfig({ test: { projects: [none, one] } })`,
        'none.test.ts': `
          import { expect, inject, test } from 'vitest'
          test('knows of no service', () => expect(inject('infra').services).toEqual({}))`,
      },
    })
    expect(run.stdout).toContain('Tests  2 passed (2)')
    expect(run).toMatchObject({ exitCode: 0, created: ['redis'] })
  })

  test('the import of the plugin loads neither Testcontainers nor a client nor a validator', async () => {
    const args = ['--input-type=module', '--eval', LOADED, 'vitest-infra/plugin']
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      cwd: consumer.folder,
      env: cleanEnvironment(),
    })
    const files = (JSON.parse(stdout) as string[]).filter((url) => url.startsWith('file:'))
    expect(files.filter((url) => !url.includes('/node_modules/vitest-infra/dist/'))).toEqual([])
    expect(files.length).toBeLessThan(10)
  })
})

describe.each(inject('consumers'))('$name, with a machine-readable reporter', (consumer) => {
  test("stdout contains only the TAP reporter's output", async () => {
    const run = await runVitest('inline-plugins', { consumer, args: ['run', '--reporter=tap-flat'] })
    expect(run.stdout).toMatchInlineSnapshot(`
      "TAP version 13
      1..2
      ok 1 - test/server.test.ts > the server answers # time=<time>
      ok 2 - test/server.test.ts > the server answers # time=<time>"
    `)
    expect(run.exitCode).toBe(0)
  })

  test("stdout contains only the JSON reporter's output", async () => {
    const run = await startVitest('inline-plugins', { consumer, args: ['run', '--reporter=json'] })
    const { stdout, stderr, exitCode } = await run.ended
    // Vitest 5 writes the report into a file.
    const file = join(run.folder, '.vitest/json/output.json')
    const report = consumer.vitestMajor === 4 ? stdout : await readFile(file, 'utf8')
    expect(JSON.parse(report)).toMatchObject({ success: true, numPassedTests: 2 })
    expect(stderr).toContain('infra  redis <version>')
    expect(stdout).not.toContain('infra  ')
    expect(exitCode).toBe(0)
  })
})
