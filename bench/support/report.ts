import type { Results } from '../benchmark.ts'
import { renderTable } from './table.ts'

/** The table, with the notes needed to read it. */
export function renderReport({ machine, engine, rounds, rows, conditions }: Results): string {
  const { cpu, memoryGb, system, node, loadAverage } = machine
  const facts = [
    `${cpu}, ${memoryGb} GB, ${system}, Node.js ${node}, engine ${engine.version} (${engine.storage}); load average ${loadAverage} at the start.`,
    `${rounds} rounds, all contenders in turns, each round in another order. Ratios and differences are the median of those within each round.`,
    'Ryuk is off for everybody who uses Testcontainers by hand, which flatters them: they start half a second to a second faster than by default.',
    ...(engine.standIns.length > 0 ? [`Stand-ins made of Debian packages: ${engine.standIns.join(', ')}.`] : []),
    ...conditions.flatMap(({ condition, outcomes }) =>
      outcomes.flatMap(({ contender, failure }) =>
        failure === undefined ? [] : [`Left out: ${contender}, ${condition}: ${failure.split('\n')[0]}`],
      ),
    ),
  ]
  return `${renderTable(rows)}\n\n${facts.map((fact) => `- ${fact}`).join('\n')}\n`
}
