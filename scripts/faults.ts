// Kills runs, workers and servers at random: npm run faults -- [--seed N] [--count N]
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Date.now() % 100_000) },
    count: { type: 'string', default: '100' },
  },
})
const { status } = spawnSync('vitest', ['run', 'tests/faults', '--project', 'faults'], {
  stdio: 'inherit',
  env: { ...process.env, FAULTS_SEED: values.seed, FAULTS_COUNT: values.count },
})
process.exitCode = status ?? 1
