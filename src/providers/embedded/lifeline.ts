import { type ChildProcess, spawn } from 'node:child_process'
import { LIFELINE_PROGRAM } from '../../internal/names.ts'

/** A program that a supervisor has started, and the signal that ends it. */
export interface HeldProgram {
  readonly pid: number
  readonly endSignal: NodeJS.Signals
}

/**
 * A script that reads lines with the running programs, each program as `SIGNAL:PID`. When its input ends, it ends the
 * programs of the last line with their process groups, and removes the folder that is its argument.
 *
 * After its signal, PostgreSQL waits at most 5 s for its own processes and then kills them. The script uses only POSIX
 * sh, so that it runs on small systems.
 */
const HOLD = `
programs=
while read -r line; do programs=$line; done
for program in $programs; do
  kill "-\${program%%:*}" "-\${program#*:}"
  kill -CONT "-\${program#*:}"
done
seconds=0
for program in $programs; do
  while [ $seconds -lt 7 ] && kill -0 "\${program#*:}"; do
    sleep 1
    seconds=$((seconds + 1))
  done
  kill -KILL "-\${program#*:}"
done
rm -rf -- "$1"
`

/**
 * Ends the programs of a supervisor after the supervisor has exited for any reason. A shell holds the other end of a
 * pipe to the supervisor. Neither `killall node` nor any other signal to Node processes reaches the shell.
 *
 * Windows and images without a shell cannot run it. There, the servers of a killed supervisor keep running.
 */
export class Lifeline {
  readonly #shell: ChildProcess | undefined

  /** @param folder the folder to remove when the programs have ended */
  constructor(folder: string) {
    if (process.platform !== 'win32') {
      this.#shell = spawn('/bin/sh', ['-c', HOLD, LIFELINE_PROGRAM, folder], {
        // The shell leads its own process group, so that a signal to the supervisor's group does not reach it.
        detached: true,
        stdio: ['pipe', 'ignore', 'ignore'],
      })
      this.#shell.on('error', () => {}).unref()
      this.#shell.stdin?.on('error', () => {})
    }
  }

  /** Reports the programs that are running now. */
  hold(programs: readonly HeldProgram[]): void {
    const line = programs.map(({ pid, endSignal }) => `${endSignal.replace(/^SIG/, '')}:${pid}`).join(' ')
    this.#shell?.stdin?.write(`${line}\n`)
  }
}
