// npm run bench -- --help
import { constants } from 'node:os'
import { parseArgs } from 'node:util'
import { runBenchmark } from './benchmark.ts'
import { SCENARIOS } from './scenarios/all.ts'
import { Session } from './support/session.ts'

const NAMES = SCENARIOS.map(({ name }) => name)
const USAGE = `Usage: npm run bench [-- OPTION…]

Measures this package and its rivals in turns. The table goes to standard output, progress to standard error, every
single figure to bench/results.

  --rounds N      how often each contender runs (default 7, with --quick 2)
  --only NAMES    of the scenarios, separated by commas: ${NAMES.join(', ')}
  --quick         fewer conditions and rounds: does it work, and roughly how fast
  --help          this text

It needs a container engine and the command docker with compose. More: bench/README.md
`
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const USAGE_ERROR = 2

async function main(): Promise<number> {
  const options = readOptions()
  if (typeof options === 'string') {
    process.stderr.write(`${options}\n\n${USAGE}`)
    return USAGE_ERROR
  }
  if (options.help) {
    process.stdout.write(USAGE)
    return 0
  }
  // Each temporary folder adds a listener that removes it.
  process.setMaxListeners(0)
  const interruption = new AbortController()
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (interruption.signal.aborted) {
        process.exit(exitCodeOf(signal))
      }
      process.stderr.write('interrupted: stopping what runs (again: at once, leaving it behind)\n')
      interruption.abort(signal)
    })
  }
  try {
    return await runBenchmark(new Session(interruption.signal), options)
  } catch (error) {
    if (!interruption.signal.aborted) {
      throw error
    }
    return exitCodeOf(interruption.signal.reason as NodeJS.Signals)
  }
}

function exitCodeOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        rounds: { type: 'string' },
        only: { type: 'string', default: NAMES.join(',') },
        quick: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    const { only, quick, help } = values
    const rounds = Number(values.rounds ?? (quick ? 2 : 7))
    const names = only.split(',')
    const unknown = names.find((name) => !NAMES.includes(name))
    if (unknown !== undefined) {
      return `Cannot run the scenario "${unknown}": there is none of this name`
    }
    return Number.isInteger(rounds) && rounds > 0
      ? { rounds, quick, help, scenarios: SCENARIOS.filter(({ name }) => names.includes(name)) }
      : `Cannot run ${values.rounds} rounds: it is no number from 1 on`
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

process.exitCode = await main()
