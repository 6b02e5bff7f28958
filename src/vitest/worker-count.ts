import { availableParallelism } from 'node:os'
import type { Vitest } from 'vitest/node'

/** Returns the maximum number of concurrent workers: the highest `maxWorkers` of all projects. */
export function workerCount({ config, projects }: Vitest): number {
  const limits = [config, ...projects.map((project) => project.config)].map(({ maxWorkers }) => maxWorkers)
  return Math.max(...limits.map((limit) => limit || defaultWorkers(config.watch)))
}

/** Returns Vitest 4's default for `maxWorkers`, which its configuration does not contain. */
export function defaultWorkers(watch: boolean): number {
  const cpus = availableParallelism()
  return Math.max(watch ? Math.floor(cpus / 2) : cpus - 1, 1)
}
