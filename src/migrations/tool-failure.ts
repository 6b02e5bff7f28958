import { isAbsolute, relative } from 'node:path'
import { InfraError } from '../errors.ts'
import { type Credentials, redact } from '../internal/redact.ts'
import { remedyForTaken } from '../seeds/already-there.ts'
import type { ProgramExit } from './await-exit.ts'
import type { Program, ProgramResult } from './run-program.ts'

export interface ToolFailure {
  /** Name of the tool in the error. */
  readonly name: string
  readonly program: Program
  readonly result: ProgramResult
  /** Credentials of the database, which are removed from the error's text. */
  readonly credentials: Credentials
}

/** Creates the error for a failed tool, with its command line and output. */
export function describeToolFailure({ name, program, result, credentials }: ToolFailure): InfraError {
  const summary = redact(`${name} ${describeExit(result.exit, program)}`, credentials)
  const output = result.output === '' ? '(no output)' : result.output
  return new InfraError('INFRA_SEED_FAILED', {
    problem: `Cannot fill the template: ${summary}`,
    detail: redact(`${renderCommand(program)}\n${output}`, credentials),
    remedy: remedyForTaken(result.output) ?? renderRemedy(result.exit, program),
    service: 'postgres',
    ...(result.exit.type === 'not-started' ? { cause: result.exit.error } : {}),
  })
}

function describeExit(exit: ProgramExit, { timeoutMs }: Program): string {
  switch (exit.type) {
    case 'exited':
      return `exited with code ${exit.code}`
    case 'killed':
      return `was killed by ${exit.signal}`
    case 'timed-out':
      return `did not exit within ${timeoutMs} ms`
    case 'not-started':
      return `could not be started: ${exit.error.message}`
  }
}

function renderRemedy(exit: ProgramExit, { command }: Program): string {
  switch (exit.type) {
    case 'exited':
    case 'killed':
      return 'Correct the error in its output and run the tests again'
    case 'timed-out':
      return 'Raise its option timeoutMs, or find out why it does not exit'
    case 'not-started':
      return `Install "${command[0]}" or correct its name; node_modules/.bin and PATH were searched`
  }
}

/** Returns the command as typed in a shell: `$ node node_modules/knex/bin/cli.js migrate:latest`. */
function renderCommand({ command, cwd }: Program): string {
  return `$ ${command.map((word) => renderWord(word, cwd)).join(' ')}`
}

function renderWord(word: string, cwd: string): string {
  if (word.includes('\n')) {
    // This word is our own script, passed as an argument.
    return "'…'"
  }
  const short = isAbsolute(word) ? relative(cwd, word) : word
  const shown = short !== '' && short.length < word.length ? short : word
  return /^[\w@%+=:,./\\-]+$/.test(shown) ? shown : `'${shown}'`
}
