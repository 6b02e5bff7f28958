import { InfraError } from '../errors.ts'
import { readLastLogLines } from '../health/last-log-lines.ts'
import { signalOf } from '../internal/exit-code.ts'
import type { ServerExit, StartedService } from '../services/service.ts'

const LOG_LINES = 20

/** Describes a server that exited while tests ran. */
export interface LostService {
  /** A short error, because every later test fails with it. */
  readonly error: InfraError
  readonly label: string
  /** The last lines of the server's log. */
  readonly lines: readonly string[]
}

export interface Loss {
  readonly name: string
  readonly exit: ServerExit
  /** How long the server was healthy, in milliseconds. */
  readonly afterMs: number
  readonly isRestarted: boolean
}

export async function describeLoss(started: StartedService, loss: Loss): Promise<LostService> {
  const { name, exit, afterMs, isRestarted } = loss
  const after = `${(afterMs / 1000).toFixed(1)} s`
  const error = new InfraError('INFRA_SERVICE_LOST', {
    problem: `Cannot go on with service "${name}": its server ${describeExit(exit)}, ${after} after it was healthy`,
    remedy: `${remedyFor(exit)}, and start the run again${isRestarted ? '; the files that follow have a new server' : ''}`,
    service: name,
  })
  const log = await readLastLogLines(started, LOG_LINES)
  return { error, label: started.label, lines: linesOf(log) }
}

/** Returns the error for a server that exited by itself during its start. */
export async function describeLostStart(
  started: StartedService,
  { name, exit, cause }: { readonly name: string; readonly exit: ServerExit; readonly cause: unknown },
): Promise<InfraError> {
  const log = await readLastLogLines(started, LOG_LINES)
  return new InfraError('INFRA_SERVICE_EXITED', {
    problem: `Cannot start service "${name}": its server ${describeExit(exit)} before it was ready`,
    detail: [`Last lines of the log of ${started.label}:`, ...linesOf(log).map((line) => `  ${line}`)].join('\n'),
    remedy: exit.outOfMemory ? 'Give the engine more memory' : 'Correct what its log names, and start the run again',
    service: name,
    cause,
  })
}

function linesOf(log: string): readonly string[] {
  return log.split('\n').filter((line) => line.trim() !== '')
}

function remedyFor({ outOfMemory }: ServerExit): string {
  return outOfMemory
    ? 'Give the engine more memory, or set maxWorkers lower'
    : 'Correct what its last log lines name, which the lines of infra give'
}

function describeExit({ exitCode, outOfMemory }: ServerExit): string {
  if (outOfMemory) {
    return 'was killed, as it ran out of memory'
  }
  const signal = signalOf(exitCode)
  return signal ? `was killed by ${signal}` : `exited with code ${exitCode ?? 'unknown'}`
}
