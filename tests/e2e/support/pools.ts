import type { Consumer } from '../consumers.ts'

/** The pools to try: all of them with `TEST_ALL=yes`, else Vitest's default. */
export const POOLS = process.env['TEST_ALL'] ? ['forks', 'threads', 'vmForks', 'vmThreads'] : ['forks']

/** Those to try a Vitest in: of an older one the pool that is its default, and the one that is most unlike it. */
export function poolsOf({ vitestMajor }: Consumer): readonly string[] {
  return vitestMajor === 5 ? POOLS : ['forks', 'vmThreads']
}

/** The options of Vitest for each of them, and for workers that keep modules. */
export function poolOptionsOf(consumer: Consumer): readonly string[] {
  return [...poolsOf(consumer).map((pool) => `--pool=${pool}`), '--no-isolate']
}
