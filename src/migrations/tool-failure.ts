import { isAbsolute, relative } from 'node:path'
import { InfraError } from '../errors.ts'
import { type Credentials, redact } from '../internal/redact.ts'
import { remedyForTaken } from '../seeds/already-there.ts'
import type { ProgramEnd } from './await-end.ts'
import type { Program, ProgramResult } from './run-program.ts'

export interface ToolFailure {
  /** What to call the tool. */
  readonly name: string
  readonly program: Program
  readonly result: ProgramResult
  /** Of the database; they do not get into the text. */
  readonly credentials: Credentials
}

/** The error for a tool that did not end well, with its command line and all that it wrote. */
export function describeToolFailure({ name, program, result, credentials }: ToolFailure): InfraError {
  const end = redact(`${name} ${describeEnd(result.end, program)}`, credentials)
  const output = result.output === '' ? '(it wrote nothing)' : result.output
  return new InfraError('INFRA_SEED_FAILED', {
    problem: `Cannot fill the template: ${end}`,
    detail: redact(`${renderCommand(program)}\n${output}`, credentials),
    remedy: remedyForTaken(result.output) ?? renderRemedy(result.end, program),
    service: 'postgres',
    ...(result.end.type === 'not-started' ? { cause: result.end.error } : {}),
  })
}

function describeEnd(end: ProgramEnd, { timeoutMs }: Program): string {
  switch (end.type) {
    case 'exited':
      return `ended with exit code ${end.code}`
    case 'killed':
      return `was ended by ${end.signal}`
    case 'timed-out':
      return `did not end within ${timeoutMs} ms`
    case 'not-started':
      return `cannot be started: ${end.error.message}`
  }
}

function renderRemedy(end: ProgramEnd, { command }: Program): string {
  switch (end.type) {
    case 'exited':
    case 'killed':
      return 'Correct what its output names and run the tests again'
    case 'timed-out':
      return 'Raise its option timeoutMs, or find out what it waits for'
    case 'not-started':
      return `Install "${command[0]}" or correct its name; node_modules/.bin and PATH were searched`
  }
}

/** As one would type it: `$ node node_modules/knex/bin/cli.js migrate:latest`. */
function renderCommand({ command, cwd }: Program): string {
  return `$ ${command.map((word) => renderWord(word, cwd)).join(' ')}`
}

function renderWord(word: string, cwd: string): string {
  if (word.includes('\n')) {
    // A program of ours, given as an argument.
    return "'…'"
  }
  const short = isAbsolute(word) ? relative(cwd, word) : word
  const shown = short !== '' && short.length < word.length ? short : word
  return /^[\w@%+=:,./\\-]+$/.test(shown) ? shown : `'${shown}'`
}
