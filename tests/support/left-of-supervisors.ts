import { readdir, readFile, readlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'

const RUN_FOLDER = /vitest-infra-\d+-(\d+)-\w+/

/** A local process, with the data that the system permits to read. */
export interface MachineProcess {
  readonly pid: number
  readonly parent: number
  readonly command: string
  readonly folder: string
}

/** Lists what exited supervisors left, and the running supervisors that a process started. */
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
  // The program's name, in parentheses, may contain spaces.
  const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { pid, parent: Number(parent), command: command.replaceAll('\0', ' ').trim(), folder }
}

function describe({ pid, command }: MachineProcess): string {
  return `${pid} ${command}`
}
