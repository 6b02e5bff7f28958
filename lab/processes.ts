import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** A process that cannot be mistaken for a later one with the same number. */
export interface ProcessMark {
  readonly pid: number
  /** Clock ticks after boot, as the kernel counts them. */
  readonly startedAt: string
}

interface ProcessFacts extends ProcessMark {
  readonly parent: number
  readonly state: string
}

export function markProcess(pid: number): ProcessMark | undefined {
  const facts = readFacts(pid)
  return facts === undefined || facts.state === 'Z' ? undefined : { pid, startedAt: facts.startedAt }
}

export function isRunning({ pid, startedAt }: ProcessMark): boolean {
  return markProcess(pid)?.startedAt === startedAt
}

/** Finds processes whose program is in the folder (even if it was deleted) and whose arguments contain the word. */
export function findByProgram(folder: string, names: readonly string[], word: string): readonly ProcessMark[] {
  return listProcesses().filter(({ pid }) => {
    const program = readProgram(pid)
    if (program === undefined || !program.startsWith(`${folder}/`)) return false
    return names.includes(program.slice(program.lastIndexOf('/') + 1)) && readArguments(pid).includes(word)
  })
}

/** All processes below the given ones, nearest first. */
export function findDescendants(parents: readonly ProcessMark[]): readonly ProcessMark[] {
  const all = listProcesses()
  const found: ProcessFacts[] = []
  let generation = parents.map(({ pid }) => pid)
  while (generation.length > 0) {
    const children = all.filter(({ parent }) => generation.includes(parent))
    found.push(...children)
    generation = children.map(({ pid }) => pid)
  }
  return found
}

/** Stops a process with SIGTERM, then with SIGKILL after the timeout. Resolves when it has exited. */
export async function endProcess(mark: ProcessMark, { graceMs }: { readonly graceMs: number }): Promise<void> {
  if (!signalProcess(mark, 'SIGTERM')) return
  if (await waitForEnd(mark, graceMs)) return
  signalProcess(mark, 'SIGKILL')
  await waitForEnd(mark, 5_000)
}

export function signalProcess(mark: ProcessMark, signal: NodeJS.Signals): boolean {
  if (!isRunning(mark)) return false
  try {
    return process.kill(mark.pid, signal)
  } catch {
    return false
  }
}

export async function waitForEnd(mark: ProcessMark, timeoutMs: number): Promise<boolean> {
  const until = performance.now() + timeoutMs
  while (isRunning(mark)) {
    if (performance.now() > until) return false
    await sleep(30)
  }
  return true
}

function listProcesses(): readonly ProcessFacts[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readFacts(Number(name)))
    .filter((facts) => facts !== undefined)
}

function readFacts(pid: number): ProcessFacts | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in brackets, which may have blanks and brackets in it.
    const [state = '', parent = '', ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { pid, state, parent: Number(parent), startedAt: rest[17] ?? '' }
  } catch {
    return undefined
  }
}

function readProgram(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '')
  } catch {
    return undefined
  }
}

function readArguments(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}
