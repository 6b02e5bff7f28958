import { readdir, readFile, readlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'

const RUN_FOLDER = /vitest-infra-\d+-(\d+)-\w+/

/** A process of this machine, as far as it can be looked into. */
export interface MachineProcess {
  readonly pid: number
  readonly parent: number
  readonly command: string
  readonly folder: string
}

/** What supervisors have left that have ended, and those that a process has started and that have not. */
export async function leftOfSupervisors(owner: number): Promise<readonly string[]> {
  const processes = await listProcesses()
  const folders = (await Promise.all(['/dev/shm', tmpdir()].map((path) => readdir(path)))).flat()
  const isLeft = (path: string) => {
    const supervisor = Number(RUN_FOLDER.exec(path)?.[1])
    return Boolean(supervisor) && !processes.some(({ pid }) => pid === supervisor)
  }
  return [
    ...processes
      .filter(({ parent, command }) => parent === owner && command.includes('supervisor-process'))
      .map(describe),
    ...processes.filter(({ folder }) => isLeft(folder)).map(describe),
    ...folders.filter(isLeft),
  ]
}

export async function listProcesses(): Promise<readonly MachineProcess[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  return Promise.all(pids.map((pid) => readProcess(Number(pid))))
}

async function readProcess(pid: number): Promise<MachineProcess> {
  const read = (name: string) => readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')
  const [stat, command, folder] = await Promise.all([
    read('stat'),
    read('cmdline'),
    readlink(`/proc/${pid}/cwd`).catch(() => ''),
  ])
  // The name of the program, in parentheses, may have spaces.
  const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { pid, parent: Number(parent), command: command.replaceAll('\0', ' ').trim(), folder }
}

function describe({ pid, command }: MachineProcess): string {
  return `${pid} ${command}`
}
