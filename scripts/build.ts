// Builds the package: node scripts/build.ts [folder], which is dist where none is named.
import { execFile } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const REPOSITORY = join(import.meta.dirname, '..')

const folder = resolve(process.argv[2] ?? join(REPOSITORY, 'dist'))
await rm(folder, { recursive: true, force: true })
await Promise.all([
  run('rolldown/bin/cli.mjs', '-c', '--dir', folder),
  run('typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', folder),
])

async function run(tool: string, ...args: readonly string[]): Promise<void> {
  const options = [join(REPOSITORY, 'node_modules', tool), ...args]
  await promisify(execFile)(process.execPath, options, { cwd: REPOSITORY }).catch(
    ({ stdout, stderr }: { stdout: string; stderr: string }) => {
      process.stderr.write(stdout + stderr)
      process.exit(1)
    },
  )
}
