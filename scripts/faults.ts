// Kills runs, workers and servers at random, and leases: npm run faults -- [--seed N] [--count N] [--leases N] [--runs N]
// Behind all that, the engine is restarted under runs, where it is this clone's own.
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 100_000) },
    count: { type: 'string', default: '100' },
    leases: { type: 'string', default: '1000' },
    runs: { type: 'string', default: '50' },
  },
})
const { seed, count, leases, runs } = values
const ALONE = 'tests/faults/alone'

function runFaults(folder: string, variables: Readonly<Record<string, string>>): number {
  const { status } = spawnSync('vitest', ['run', folder, '--project', 'faults'], {
    stdio: 'inherit',
    env: { ...process.env, ...variables },
  })
  return status ?? 1
}

/** Somebody else's engine has somebody else's containers in it. */
function isEngineOurs(): boolean {
  const { stdout } = spawnSync(process.execPath, ['lab/cli.ts', 'status'], { encoding: 'utf8' })
  return stdout.includes("this clone's own")
}

process.exitCode = runFaults('tests/faults', {
  FAULTS_SEED: seed,
  FAULTS_COUNT: count,
  FAULTS_LEASES: leases,
  FAULTS_RUNS: runs,
})
if (isEngineOurs()) {
  process.exitCode ||= runFaults(ALONE, { FAULTS_ALONE: 'yes' })
} else {
  process.stdout.write(`${ALONE} was left out: the engine is not this clone's own, which \`npm run -s lab\` starts\n`)
}
