import type { ChildProcess } from 'node:child_process'
import { setVariables } from '../environment/set-variables.ts'
import { messageOf } from '../errors.ts'
import { cleanUpBeforeExit } from '../internal/clean-up-before-exit.ts'
import { systemClock } from '../internal/clock.ts'
import { exitCodeOf } from '../internal/exit-code.ts'
import { readProject } from '../read-project.ts'
import { createReporter } from '../report/reporter.ts'
import { describeEnvironment } from '../stack/stack-facts.ts'
import { startInfra } from '../stack/start-infra.ts'
import type { Host } from './command.ts'

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const

/** Exit code that shells return for a program that was not found. */
const NOT_RUN = 127

/**
 * Runs a program with the variables of a stack. If no stack is running, starts one for the program and stops it
 * afterwards. Resolves to the program's exit code. The code is 127 if the program cannot be started, and 128 plus the
 * signal's number if a signal killed it.
 */
export async function run(host: Host, command: readonly string[]): Promise<number> {
  const { environment, directory } = host
  const spec = await readProject({ directory, environment })
  const report = createReporter(host.stderr)
  const infra = startInfra(spec, { environment, workers: 1, variables: () => ({}), report, clock: systemClock })
  const started = cleanUpBeforeExit(host.process, () => infra.stop())
  try {
    const { facts } = await infra.up
    const variables = describeEnvironment(spec, facts)
    return await runWith(variables, command, { ...host, onRunning: started })
  } finally {
    await infra.stop()
    started()
  }
}

interface RunningHost extends Host {
  /** Called once signals are forwarded to the program. Before that, signals end this process. */
  readonly onRunning: () => void
}

async function runWith(
  variables: Readonly<Record<string, string>>,
  [program = '', ...args]: readonly string[],
  host: RunningHost,
): Promise<number> {
  // cross-spawn also runs npm, npx and other .cmd files on Windows.
  const { default: spawn } = await import('cross-spawn')
  const env = { ...host.environment }
  setVariables(env, variables)
  const child = spawn(program, args, { cwd: host.directory, env, stdio: 'inherit' })
  const release = forwardSignals(child, host)
  host.onRunning()
  try {
    return await awaitExit(child)
  } catch (error) {
    host.stderr.write(`Cannot run ${program}: ${messageOf(error)}\nName a program that is on the PATH\n`)
    return NOT_RUN
  } finally {
    release()
  }
}

function forwardSignals(child: ChildProcess, host: Host): () => void {
  const listeners = FORWARDED.map((signal) => {
    // A terminal also sends Ctrl-C and Ctrl-\ to the program itself, and many programs abort on a second signal.
    const isKey = host.stdin.isTTY === true && (signal === 'SIGINT' || signal === 'SIGQUIT')
    return [signal, () => void (isKey || child.kill(signal))] as const
  })
  listeners.forEach(([signal, listener]) => host.process.on(signal, listener))
  return () => listeners.forEach(([signal, listener]) => host.process.off(signal, listener))
}

function awaitExit(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('exit', (code, signal) => resolve(exitCodeOf(code, signal) ?? NOT_RUN))
  })
}
