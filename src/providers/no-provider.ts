import { InfraError } from '../errors.ts'
import { instructionToStart } from './docker/engine-unreachable.ts'
import type { Missing } from './embedded/missing.ts'

/** Where nobody said how, and neither way is open. */
export function noProvider(enginePlaces: readonly string[], missing: readonly Missing[]): InfraError {
  return new InfraError('INFRA_NO_PROVIDER', {
    problem: 'Cannot obtain the services: no container engine answered, and this machine cannot run them itself',
    detail: [
      '  docker:',
      ...enginePlaces.map((line) => `    ${line}`),
      '  embedded:',
      ...missing.map((part) => `    ${describe(part)}`),
    ].join('\n'),
    remedy: `${instructionToStart(enginePlaces)}; or, for local processes: ${missing.map(({ install }) => install).join(' and ')}`,
  })
}

/** Where local processes were asked for by name. */
export function embeddedUnavailable(missing: readonly Missing[]): InfraError {
  return new InfraError('INFRA_NO_PROVIDER', {
    problem: `Cannot use the provider "embedded": ${missing.map(describe).join('; ')}`,
    remedy: missing.map(({ install }) => install).join(' and '),
    provider: 'embedded',
  })
}

function describe({ service, reason }: Missing): string {
  return `${service}: ${reason}`
}
