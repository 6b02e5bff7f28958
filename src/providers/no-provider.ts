import { InfraError } from '../errors.ts'
import { instructionToStart } from './docker/engine/engine-unreachable.ts'
import type { Missing } from './embedded/missing.ts'

const RUN = 'Run: '

/** Returns the error for a run that names no provider, when neither Docker nor local processes can be used. */
export function noProvider(enginePlaces: readonly string[], missing: readonly Missing[]): InfraError {
  return new InfraError('INFRA_NO_PROVIDER', {
    problem: 'Cannot obtain the services: no container engine answered, and this machine cannot run them itself',
    detail: [
      '  docker:',
      ...enginePlaces.map((line) => `    ${line}`),
      '  embedded:',
      ...missing.map((part) => `    ${describe(part)}`),
      '  external:',
      '    used only where it is asked for: VITEST_INFRA_PROVIDER=external',
    ].join('\n'),
    remedy: `${instructionToStart(enginePlaces)}; or, for local processes, ${lowerFirst(instruction(missing))}`,
  })
}

/** Returns the error for a run that names the provider "embedded", when local processes cannot be used. */
export function embeddedUnavailable(missing: readonly Missing[]): InfraError {
  return new InfraError('INFRA_NO_PROVIDER', {
    problem: `Cannot use the provider "embedded": ${missing.map(describe).join('; ')}`,
    remedy: instruction(missing),
    provider: 'embedded',
  })
}

function describe({ service, reason }: Missing): string {
  return `${service}: ${reason}`
}

/** Joins all commands to one shell line, and puts the instructions that are not commands in front of it. */
function instruction(missing: readonly Missing[]): string {
  const all = missing.map(({ install }) => install)
  const commands = all.filter((install) => install.startsWith(RUN)).map((install) => install.slice(RUN.length))
  const others = all.filter((install) => !install.startsWith(RUN))
  return [...others, ...(commands.length > 0 ? [RUN + commands.join(' && ')] : [])].join('; ')
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
