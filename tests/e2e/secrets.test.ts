import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, inject, onTestFinished, test } from 'vitest'
import { containersOf, engine, removeSnapshotsOf } from './support/containers.ts'
import { startVitest } from './support/run-vitest.ts'

const consumer = inject('consumer')

/** Nowhere else by chance. */
const SECRET = 'Tr0ub4dor-and-3-horses'
const PATIENCE = { timeout: 60_000, interval: 50 }

/** The command lines of all processes of this machine, those in containers of an engine on it included. */
function commandLines(): string {
  const pids = existsSync('/proc') ? readdirSync('/proc').filter((name) => /^\d+$/.test(name)) : []
  return pids.map((pid) => readIfThere(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')).join('\n')
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/**
 * Everything that an engine reports about a project's containers, except the environment, which SECURITY.md mentions.
 */
async function toldOfContainers(project: string): Promise<string> {
  const containers = await containersOf(project)
  return JSON.stringify(
    containers.map(({ Config: { Env: _environment, ...Config }, ...rest }) => ({ ...rest, Config })),
  )
}

/** The same of the images that the project's snapshots are in. */
async function toldOfSnapshots(folder: string): Promise<string[]> {
  const docker = await engine()
  const project = createHash('sha256').update(folder).digest('hex').slice(0, 32)
  const images = await docker.listImages({ filters: { label: [`vitest-infra.snapshot.project=${project}`] } })
  return Promise.all(
    images.map(async ({ Id }) => {
      const image = docker.getImage(Id)
      return JSON.stringify([await image.inspect(), await image.history()])
    }),
  )
}

test('a password appears in no output, report, label, name, command line or image', { timeout: 120_000 }, async () => {
  const env = { POSTGRES_PASSWORD: SECRET, VITEST_INFRA_SNAPSHOT: 'on' }
  const run = await startVitest('secrets', { consumer, env })
  onTestFinished(() => removeSnapshotsOf(run.folder))
  await expect.poll(async () => (await containersOf(run.project)).length, PATIENCE).toBe(2)
  await expect.poll(() => toldOfSnapshots(run.folder), PATIENCE).toHaveLength(1)
  const seen = [commandLines(), await toldOfContainers(run.project), ...(await toldOfSnapshots(run.folder))]
  // The inspected text is not empty.
  expect(seen[0]).toContain('vitest.mjs')
  expect(seen[1]).toContain('vitest-infra.service')
  await writeFile(join(run.folder, 'seen'), '')
  const { exitCode } = await run.ended
  expect(exitCode).toBe(1)

  const reports = ['out.json', 'out.xml'].map((file) => readFileSync(join(run.folder, file), 'utf8'))
  expect(reports[0]).toContain('no_such_word')
  expect(run.stderr).toContain("PASSWORD '***' NO_SUCH_WORD")
  for (const text of [...seen, ...reports, run.stdout, run.stderr]) {
    expect(text).not.toContain(SECRET)
  }
})

test('a failed start does not print a password', async () => {
  const config = `
    import { infra } from 'vitest-infra/plugin'
    export default { plugins: [infra({ postgres: { settings: { shared_preload_libraries: 'none_of_that_name' } } })] }`
  const env = { POSTGRES_PASSWORD: SECRET }
  const run = await startVitest('secrets', { consumer, env, files: { 'vitest.config.ts': config } })
  const { exitCode, stdout, stderr } = await run.ended
  expect(exitCode).toBe(1)
  expect(stdout + stderr).toContain('none_of_that_name')
  expect(stdout + stderr).not.toContain(SECRET)
})
