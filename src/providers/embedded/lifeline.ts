import { type ChildProcess, spawn } from 'node:child_process'

/** A program that a supervisor has started, and what ends it. */
export interface HeldProgram {
  readonly pid: number
  readonly endSignal: NodeJS.Signals
}

/**
 * Reads, line by line, which programs there are, each as `SIGNAL:PID`, until its input ends: then it ends those of the
 * last line, each with its group, and removes the folder that is its argument. PostgreSQL, asked to exit, takes 5 s at most
 * to end its own processes, after which it kills them. POSIX sh, as small systems have it.
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
 * Ends what a supervisor has started when the supervisor is gone, however it went: a shell that holds the other end of a pipe,
 * and that neither `killall node` nor whatever else is aimed at Node meets. Windows has no shell for it, nor have images
 * without one; there the servers of a supervisor that was killed stay.
 */
export class Lifeline {
  readonly #shell: ChildProcess | undefined

  /** @param folder what goes with the programs */
  constructor(folder: string) {
    if (process.platform !== 'win32') {
      this.#shell = spawn('/bin/sh', ['-c', HOLD, 'vitest-infra-lifeline', folder], {
        // A group of its own: what ends the supervisor's does not reach it.
        detached: true,
        stdio: ['pipe', 'ignore', 'ignore'],
      })
      this.#shell.on('error', () => {}).unref()
      this.#shell.stdin?.on('error', () => {})
    }
  }

  /** Says which programs there are now. */
  hold(programs: readonly HeldProgram[]): void {
    const line = programs.map(({ pid, endSignal }) => `${endSignal.replace(/^SIG/, '')}:${pid}`).join(' ')
    this.#shell?.stdin?.write(`${line}\n`)
  }
}
