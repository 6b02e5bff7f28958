import type { Condition, Contender, Prepared, Samples } from './contender.ts'
import type { Session } from './session.ts'
import { median, round } from './statistics.ts'

/** A contender's values for each round, or the reason why there are none. */
export interface Outcome {
  readonly contender: string
  readonly rounds: readonly Samples[]
  readonly failure?: string
}

interface Entry {
  readonly contender: Contender
  readonly rounds: Samples[]
  prepared?: Prepared
  failure?: string
}

/**
 * Runs all contenders of a condition in alternation, in another order each round, so that other load on the machine
 * affects all of them. A contender that fails is left out from then on.
 */
export async function runRounds(session: Session, condition: Condition, rounds: number): Promise<Outcome[]> {
  const entries: Entry[] = condition.contenders.map((contender) => ({ contender, rounds: [] }))
  try {
    for (const entry of entries) {
      await attempt(session, entry, async () => {
        session.progress(`  preparing ${entry.contender.name}`)
        entry.prepared = await entry.contender.prepare(session)
        // Not counted: caches fill, images are pulled.
        await entry.prepared.run()
      })
    }
    for (let index = 0; index < rounds; index += 1) {
      for (const entry of rotate(entries, index).filter(({ failure }) => failure === undefined)) {
        await attempt(session, entry, async () => {
          const samples = await entry.prepared?.run()
          entry.rounds.push(samples ?? {})
          session.progress(`  round ${index + 1} of ${rounds}, ${entry.contender.name}: ${describe(samples ?? {})}`)
        })
      }
    }
  } finally {
    await cleanUp(session, entries)
  }
  return entries.map(({ contender: { name }, rounds: done, failure }) =>
    failure === undefined ? { contender: name, rounds: done } : { contender: name, rounds: [], failure },
  )
}

async function attempt(session: Session, entry: Entry, work: () => Promise<void>): Promise<void> {
  try {
    session.signal.throwIfAborted()
    await work()
  } catch (error) {
    session.signal.throwIfAborted()
    entry.failure = error instanceof Error ? error.message : String(error)
    session.progress(`  ${entry.contender.name} is left out: ${entry.failure}`)
  }
}

async function cleanUp(session: Session, entries: readonly Entry[]): Promise<void> {
  const outcomes = await Promise.allSettled(entries.map(async ({ prepared }) => prepared?.cleanup?.()))
  for (const outcome of outcomes) {
    if (outcome.status === 'rejected') {
      session.progress(`  cleaning up: ${String(outcome.reason)}`)
    }
  }
}

function rotate<T>(values: readonly T[], by: number): T[] {
  const start = by % values.length
  return [...values.slice(start), ...values.slice(0, start)]
}

function describe(samples: Samples): string {
  return Object.entries(samples)
    .map(([name, values]) => `${name} ${round(median(values))}`)
    .join(', ')
}
