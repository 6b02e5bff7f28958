// Kills runs, workers and servers at random, and leases:
// npm run faults -- [FILTER …] [--seed N] [--count N] [--leases N] [--runs N] [--requests N]
// [--only 'refuse GET /events 1']
// At the end, the engine is restarted under runs, where it is this clone's own. A filter names files of tests/faults,
// such as random-kills, and leaves out all else. --only leaves out all requests but those whose name it is a part of.
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: String(Date.now() % 100_000) },
    count: { type: 'string', default: '100' },
    leases: { type: 'string', default: '1000' },
    runs: { type: 'string', default: '50' },
    requests: { type: 'string', default: 'Infinity' },
    only: { type: 'string', default: '' },
  },
})
const { seed, count, leases, runs, requests, only } = values
const ALONE = 'tests/faults/alone'

function runFaults(files: readonly string[], variables: Readonly<Record<string, string>>): number {
  const { status } = spawnSync('vitest', ['run', ...files, '--project', 'faults*'], {
    stdio: 'inherit',
    env: { ...process.env, ...variables },
  })
  return status ?? 1
}

/** Another engine may have other users' containers. */
function isEngineOurs(): boolean {
  const { stdout } = spawnSync(process.execPath, ['lab/cli.ts', 'status'], { encoding: 'utf8' })
  return stdout.includes("this clone's own")
}

process.exitCode = runFaults(positionals.length > 0 ? positionals : ['tests/faults'], {
  FAULTS_SEED: seed,
  FAULTS_COUNT: count,
  FAULTS_LEASES: leases,
  FAULTS_RUNS: runs,
  FAULTS_REQUESTS: requests,
  FAULTS_ONLY: only,
})
if (positionals.length === 0 && isEngineOurs()) {
  process.exitCode ||= runFaults([ALONE], { FAULTS_ALONE: 'yes' })
} else if (positionals.length === 0) {
  process.stdout.write(`${ALONE} was left out: the engine is not this clone's own, which \`npm run -s lab\` starts\n`)
}
