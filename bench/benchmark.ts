import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Scenario } from './support/contender.ts'
import { describeEngine, type Engine, sweep } from './support/engine.ts'
import { describeMachine } from './support/machine.ts'
import { type Outcome, runRounds } from './support/rounds.ts'
import { type Row, summarizeRounds } from './support/rows.ts'
import type { Session } from './support/session.ts'
import { renderReport } from './support/report.ts'

const RESULTS = join(import.meta.dirname, 'results')

export interface BenchmarkOptions {
  readonly rounds: number
  readonly quick: boolean
  readonly scenarios: readonly Scenario[]
}

/** Everything that came out of one call. */
export interface Results {
  readonly at: string
  readonly rounds: number
  readonly quick: boolean
  readonly machine: ReturnType<typeof describeMachine>
  readonly engine: Engine
  readonly rows: readonly Row[]
  readonly conditions: readonly {
    readonly scenario: string
    readonly condition: string
    readonly outcomes: readonly Outcome[]
  }[]
}

/** Runs the scenarios, prints the table, writes the figures; resolves with the exit code. */
export async function runBenchmark(session: Session, options: BenchmarkOptions): Promise<number> {
  const results = await measure(session, options)
  process.stdout.write(renderReport(results))
  await mkdir(RESULTS, { recursive: true })
  const file = join(RESULTS, `${results.at.replaceAll(':', '-')}.json`)
  await writeFile(file, `${JSON.stringify(results, null, 2)}\n`)
  session.progress(`figures: ${file}`)
  return results.conditions.some(({ outcomes }) => outcomes.some(({ failure }) => failure !== undefined)) ? 1 : 0
}

async function measure(session: Session, { rounds, quick, scenarios }: BenchmarkOptions): Promise<Results> {
  const [machine, engine] = [describeMachine(), await describeEngine()]
  const rows: Row[] = []
  const conditions: Results['conditions'][number][] = []
  try {
    for (const scenario of scenarios) {
      for (const condition of scenario.conditions(quick ? 'quick' : 'full')) {
        session.progress(`${scenario.name}, ${condition.name}`)
        const outcomes = await runRounds(session, condition, rounds)
        rows.push(...summarizeRounds(scenario.name, condition, outcomes))
        conditions.push({ scenario: scenario.name, condition: condition.name, outcomes })
      }
    }
  } finally {
    const swept = await sweep(session)
    session.progress(`removed ${swept} containers, volumes and networks that contenders left`)
  }
  return { at: new Date().toISOString(), rounds, quick, machine, engine, rows, conditions }
}
