import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Session } from './session.ts'

export interface ProjectRun {
  readonly output: string
  /** The start and the exit of the process, and its tests' marks in between, on one clock. */
  readonly beganMs: number
  readonly endedMs: number
  readonly marks: ReadonlyMap<string, number>
}

export interface ProjectOptions {
  readonly env?: Readonly<Record<string, string>>
  /** The user to run as. */
  readonly uid?: number | undefined
}

/** The clock that all processes of a machine share. */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** Runs Vitest as a user does; throws with the whole output unless every test passes. */
export async function runProject(
  session: Session,
  folder: string,
  { env = {}, uid }: ProjectOptions = {},
): Promise<ProjectRun> {
  const marksFile = join(folder, 'marks')
  await rm(marksFile, { force: true })
  const beganMs = nowMs()
  const child = session.spawn(process.execPath, [join(folder, 'node_modules/vitest/vitest.mjs'), 'run'], {
    cwd: folder,
    // Snapshots are measured as a separate contender.
    env: { ...process.env, NO_COLOR: '1', BENCH_MARKS: marksFile, VITEST_INFRA_SNAPSHOT: 'off', ...env },
    ...(uid !== undefined && { uid, gid: uid }),
  })
  let output = ''
  child.stdout?.on('data', (data: Buffer) => (output += data.toString()))
  child.stderr?.on('data', (data: Buffer) => (output += data.toString()))
  let endedMs = Number.NaN
  child.once('exit', () => (endedMs = nowMs()))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) {
    throw new Error(`Vitest ended with ${code}:\n${output}`)
  }
  return { output, beganMs, endedMs, marks: await readMarks(marksFile) }
}

async function readMarks(file: string): Promise<Map<string, number>> {
  const text = await readFile(file, 'utf8').catch(() => '')
  const lines = text.split('\n').filter((line) => line !== '')
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]))
}
