import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Lists the existing containers that a process started, running or not. */
export async function leftContainers(owner: number): Promise<readonly string[]> {
  const filter = ['--filter', `label=vitest-infra.owner=${owner}`]
  const { stdout } = await run('docker', ['ps', '--all', ...filter, '--format', '{{.Names}} {{.Status}}'])
  return stdout.split('\n').filter((line) => line !== '' && !line.includes('Removal In Progress'))
}
