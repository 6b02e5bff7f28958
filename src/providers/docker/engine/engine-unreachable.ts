import { InfraError } from '../../../errors.ts'
import { withoutPassword } from './engine-address.ts'
import type { ProbeError } from './engine-errors.ts'

const JOIN_GROUP = 'Add yourself to the docker group ("sudo usermod -aG docker $USER", then log in again)'

/** An engine that the user has chosen. */
export interface EngineClaim {
  readonly source: string
  readonly host: string
  readonly tlsDirectory?: string | undefined
  readonly skipTlsVerify?: boolean
  /** Why the engine was tried, for example `DOCKER_HOST is set`. */
  readonly claim: string
  /** How to undo the choice, worded to complete an instruction. */
  readonly withdrawal: string
}

/**
 * Returns the error for a search without a chosen engine in which no engine answered. Each line describes one place
 * that was tried.
 */
export function noEngineAnswered(lines: readonly string[]): InfraError {
  return new InfraError('INFRA_ENGINE_UNREACHABLE', {
    problem: 'Cannot reach a container engine: none of the places where the docker command looks answered',
    detail: lines.map((line) => `  ${line}`).join('\n'),
    remedy: `${instructionToStart(lines)}, or set DOCKER_HOST to a running engine`,
  })
}

/** Returns an instruction that makes an engine answer. */
export function instructionToStart(lines: readonly string[]): string {
  return lines.some((line) => line.includes('(EACCES)')) ? JOIN_GROUP : 'Start Docker'
}

export function contextUnusable(context: Pick<EngineClaim, 'claim' | 'withdrawal'>, reason: string): InfraError {
  return new InfraError('INFRA_ENGINE_UNREACHABLE', {
    problem: `Cannot find the container engine: ${context.claim}, but ${reason}`,
    remedy: `Create it with "docker context create", or ${context.withdrawal}`,
  })
}

export function claimFailed(claim: EngineClaim, failure: ProbeError): InfraError {
  const host = withoutPassword(claim.host)
  const unreadable = `Cannot read the address in ${claim.source}: "${host}" is not that of a container engine`
  const unreachable = `Cannot reach the container engine at ${host}: ${claim.claim}, but ${failure.sentence}`
  return new InfraError('INFRA_ENGINE_UNREACHABLE', {
    problem: failure.code === 'UNREADABLE' ? unreadable : unreachable,
    ...(claim.skipTlsVerify && { detail: 'The context skips the verification of TLS, which Testcontainers cannot do' }),
    remedy: `${instructionFor(claim, failure)}, or ${claim.withdrawal}`,
    cause: failure,
  })
}

function instructionFor(claim: EngineClaim, failure: ProbeError): string {
  if (failure.isAbsence) {
    return 'Start it'
  }
  switch (failure.code) {
    case 'UNREADABLE':
      return 'Write unix:///path/to/docker.sock, tcp://host:port or npipe:////./pipe/name'
    case 'SSH':
      return forwardSocket(withoutPassword(claim.host))
    case 'EACCES':
      return JOIN_GROUP
    default:
      return claim.tlsDirectory === undefined
        ? 'Correct the address'
        : `Put the ca.pem, cert.pem and key.pem of that engine into ${claim.tlsDirectory}`
  }
}

/**
 * Returns an instruction to forward the socket of a remote engine. Ports are published on the remote machine, so
 * Testcontainers needs that machine's name, too.
 */
function forwardSocket(host: string): string {
  return (
    `Forward its socket with "ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock ${host}" and set ` +
    `DOCKER_HOST=unix:///tmp/docker.sock and TESTCONTAINERS_HOST_OVERRIDE=${URL.parse(host)?.hostname ?? host}`
  )
}
