import { availableParallelism } from 'node:os'
import type { Vitest } from 'vitest/node'

/** How many workers a run can have at once: as many as the project that may have the most. */
export function workerCount({ config, projects }: Vitest): number {
  const limits = [config, ...projects.map((project) => project.config)].map(({ maxWorkers }) => maxWorkers)
  return Math.max(...limits.map((limit) => limit || defaultWorkers(config.watch)))
}

/** Vitest 4 leaves the limit open in its configuration, and settles it by this rule when tests begin. */
export function defaultWorkers(watch: boolean): number {
  const cpus = availableParallelism()
  return Math.max(watch ? Math.floor(cpus / 2) : cpus - 1, 1)
}
