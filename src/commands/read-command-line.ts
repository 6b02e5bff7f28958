import { parseArgs } from 'node:util'
import { messageOf } from '../errors.ts'
import { parseDurationMs } from '../internal/duration.ts'
import type { Call, Command } from './command.ts'
import { renderCommandHelp, renderHelp } from './render-help.ts'

/** The parsed command line. */
export type CommandLine =
  | { readonly type: 'version' }
  | { readonly type: 'help'; readonly help: string }
  | { readonly type: 'misuse'; readonly problem: string; readonly help: string }
  | { readonly type: 'command'; readonly command: Command; readonly call: Call }

type Commands = Readonly<Record<string, Command>>

/** The options that are valid without a command. */
const OPTIONS = { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean', short: 'v' } } as const

/** Parses the arguments of the process. */
export function readCommandLine(args: readonly string[], commands: Commands): CommandLine {
  const [name = '', ...rest] = args
  const help = renderHelp(commands)
  if (name === 'help') {
    return readHelp(rest, commands)
  }
  if (name.startsWith('-')) {
    return readOption(name, help)
  }
  const command = find(name, commands)
  return command ? readCall(name, command, rest) : misuse(name === '' ? 'A command is missing' : unknown(name), help)
}

function readOption(option: string, help: string): CommandLine {
  try {
    const { values } = parseArgs({ args: [option], options: OPTIONS })
    return values.version ? { type: 'version' } : values.help ? { type: 'help', help } : misuse(unknown(option), help)
  } catch (error) {
    return misuse(messageOf(error), help)
  }
}

function readHelp([name, ...more]: readonly string[], commands: Commands): CommandLine {
  if (name === undefined) {
    return { type: 'help', help: renderHelp(commands) }
  }
  const command = find(name, commands)
  if (!command || more.length > 0) {
    return misuse(unknown([name, ...more].join(' ')), renderHelp(commands))
  }
  return { type: 'help', help: renderCommandHelp(name, command) }
}

function readCall(name: string, command: Command, args: readonly string[]): CommandLine {
  const help = renderCommandHelp(name, command)
  if (command.operands === 'verbatim' || command.operands === 'program') {
    return readOtherProgram(name, command, args)
  }
  try {
    const { values, positionals } = parseArgs({ args: [...args], options: optionsOf(command), allowPositionals: true })
    if (values['help']) {
      return { type: 'help', help }
    }
    const options = values as Call['options']
    assertOperands(name, command, positionals)
    assertValues(command, options)
    return { type: 'command', command, call: { options, operands: positionals } }
  } catch (error) {
    return misuse(messageOf(error), help)
  }
}

/**
 * Parses a command line that contains the arguments of another program. Only `--help` is parsed, as the program may
 * have its own -h.
 */
function readOtherProgram(name: string, command: Command, args: readonly string[]): CommandLine {
  const help = renderCommandHelp(name, command)
  if (args[0] === '--help') {
    return { type: 'help', help }
  }
  const operands = args[0] === '--' ? args.slice(1) : args
  if (command.operands === 'program' && !operands[0]) {
    return misuse('The program to run is missing', help)
  }
  if (command.operands === 'program' && args[0]?.startsWith('-') && args[0] !== '--') {
    return misuse(`Unknown option '${args[0]}'`, help)
  }
  return { type: 'command', command, call: { options: {}, operands } }
}

function optionsOf({ options = {} }: Command) {
  const own = Object.entries(options).map(
    ([name, { value }]) => [name, { type: value === undefined ? 'boolean' : 'string' }] as const,
  )
  return { ...Object.fromEntries(own), help: { type: 'boolean', short: 'h' } } as const
}

function assertOperands(name: string, { operands = 'none' }: Command, given: readonly string[]): void {
  const surplus = given[operands === 'one' ? 1 : 0]
  if (surplus !== undefined) {
    throw new RangeError(`Unexpected argument of ${name}: ${surplus}`)
  }
}

function assertValues({ options = {} }: Command, values: Call['options']): void {
  for (const [name, { choices, isDuration, excludes }] of Object.entries(options)) {
    const value = values[name]
    if (excludes !== undefined && value !== undefined && values[excludes] !== undefined) {
      throw new RangeError(`--${name} and --${excludes} exclude each other`)
    }
    if (choices && typeof value === 'string' && !choices.includes(value)) {
      throw new RangeError(`--${name} is one of ${choices.join(', ')}, not ${JSON.stringify(value)}`)
    }
    if (isDuration && typeof value === 'string') {
      parseDurationMs(value, `--${name}`)
    }
  }
}

function find(name: string, commands: Commands): Command | undefined {
  return Object.hasOwn(commands, name) ? commands[name] : undefined
}

function misuse(problem: string, help: string): CommandLine {
  return { type: 'misuse', problem, help }
}

function unknown(name: string): string {
  return `Unknown command: ${name}`
}
