import { cpus, loadavg, release, totalmem, type as system } from 'node:os'

/** What the figures were measured on, and what else it did at that time. */
export function describeMachine(): Record<string, string | number> {
  const [cpu] = cpus()
  return {
    system: `${system()} ${release()}`,
    cpu: `${cpus().length} × ${cpu?.model.trim() ?? 'unknown'}`,
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    node: process.version,
    loadAverage: Math.round((loadavg()[0] ?? 0) * 100) / 100,
  }
}
