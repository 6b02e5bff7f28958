import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import type { EngineFiles } from './engine-packages.ts'
import type { Lab } from './lab.ts'
import { isRunning, markProcess, type ProcessMark } from './processes.ts'
import { LabError } from './report.ts'

export type DaemonName = 'dockerd' | 'containerd'

const START_LIMIT_MS = 60_000

/** Starts a daemon that outlives the lab; its output is written to its log. */
export async function startDaemon(
  lab: Lab,
  files: EngineFiles,
  name: DaemonName,
  args: readonly string[],
): Promise<ProcessMark> {
  lab.signal.throwIfAborted()
  await mkdir(lab.layout.logs, { recursive: true })
  const log = await open(logOf(lab, name), 'w')
  try {
    const child = spawn(files[name], args, {
      cwd: '/',
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: {
        ...lab.environment,
        PATH: `${files.path}:${lab.environment['PATH'] ?? ''}`,
        LD_LIBRARY_PATH: files.libraryPath,
      },
    })
    child.on('error', () => {})
    child.unref()
    const mark = child.pid === undefined ? undefined : markProcess(child.pid)
    if (mark === undefined) throw await startError(lab, name, 'it ended at once')
    return mark
  } finally {
    await log.close()
  }
}

export async function waitUntil(
  lab: Lab,
  daemon: ProcessMark,
  name: DaemonName,
  isReady: () => Promise<boolean>,
): Promise<void> {
  const until = performance.now() + START_LIMIT_MS
  while (!(await isReady())) {
    lab.signal.throwIfAborted()
    if (!isRunning(daemon)) throw await startError(lab, name, 'it ended at once')
    if (performance.now() > until)
      throw await startError(lab, name, `it does not answer after ${START_LIMIT_MS / 1000} s`)
    await sleep(50)
  }
}

async function startError(lab: Lab, name: DaemonName, reason: string): Promise<LabError> {
  const log = logOf(lab, name)
  const lines = (await readFile(log, 'utf8').catch(() => '')).trimEnd().split('\n').slice(-20)
  return new LabError(
    [`Cannot start ${name}: ${reason}. The end of its log:`, ...lines].join('\n'),
    `The whole log is ${log}; LAB_ENGINE=bookworm tries Debian 12's engine`,
  )
}

function logOf(lab: Lab, name: string): string {
  return join(lab.layout.logs, `${name}.log`)
}

/**
 * In a container with cgroup v2, all processes are in the visible root group. The kernel does not delegate controllers
 * from a group with processes, so they are moved to a child group.
 */
export async function prepareCgroups(): Promise<void> {
  const root = '/sys/fs/cgroup'
  const isNested = existsSync(join(root, 'cgroup.controllers')) && existsSync(join(root, 'cgroup.type'))
  if (!isNested) return
  const own = await readFile(join(root, 'cgroup.procs'), 'utf8')
  if (own.trim() === '') return
  await mkdir(join(root, 'vitest-infra-lab'), { recursive: true })
  for (const pid of own.trim().split('\n'))
    await writeFile(join(root, 'vitest-infra-lab', 'cgroup.procs'), pid).catch(() => {})
  const controllers = (await readFile(join(root, 'cgroup.controllers'), 'utf8')).trim().split(' ')
  await writeFile(join(root, 'cgroup.subtree_control'), controllers.map((name) => `+${name}`).join(' ')).catch(() => {})
}
