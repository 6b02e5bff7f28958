// Kills runs, workers and servers at random, and leases: npm run faults -- [--seed N] [--count N] [--leases N] [--runs N]
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
const { status } = spawnSync('vitest', ['run', 'tests/faults', '--project', 'faults'], {
  stdio: 'inherit',
  env: { ...process.env, FAULTS_SEED: seed, FAULTS_COUNT: count, FAULTS_LEASES: leases, FAULTS_RUNS: runs },
})
process.exitCode = status ?? 1
