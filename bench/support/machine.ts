import { cpus, loadavg, release, totalmem, type as system } from 'node:os'

/** The machine of the figures, and its other load during the benchmark. */
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
