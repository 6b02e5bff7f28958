import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Contender, Samples } from './contender.ts'
import { containerMemoryBytes } from './engine.ts'
import type { Session } from './session.ts'

export const MEASURES = {
  main: 'peak memory of the main process',
  containers: 'peak memory of the containers',
} as const

const PERIOD_MS = 100
const MEGABYTE = 1024 ** 2

/** The same contender, measured for memory instead of time. Sampling disturbs it, so its times do not count. */
export function watchMemory(contender: Contender): Contender {
  return {
    name: contender.name,
    async prepare(session) {
      const prepared = await contender.prepare(session)
      return { run: () => sampleWhile(session, () => prepared.run()), cleanup: async () => prepared.cleanup?.() }
    },
  }
}

async function sampleWhile(session: Session, run: () => Promise<unknown>): Promise<Samples> {
  const ended = new AbortController()
  const sampling = Promise.all([
    peakOf(() => mainProcessBytes(session), ended.signal),
    peakOf(() => containerMemoryBytes(session), ended.signal),
  ])
  await run().finally(() => ended.abort())
  const [main, containers] = await sampling
  return { [MEASURES.main]: [main / MEGABYTE], [MEASURES.containers]: [containers / MEGABYTE] }
}

async function peakOf(read: () => Promise<number>, signal: AbortSignal): Promise<number> {
  let peak = 0
  while (!signal.aborted) {
    // A container or process may go while it is asked.
    peak = Math.max(peak, await read().catch(() => 0))
    await sleep(PERIOD_MS)
  }
  return peak
}

/** The kernel records the peak, so only the last moments before the end can be missed. */
async function mainProcessBytes({ pids }: Session): Promise<number> {
  const status = await readFile(`/proc/${pids[0]}/status`, 'utf8')
  // One that has just ended has no such line.
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
}
