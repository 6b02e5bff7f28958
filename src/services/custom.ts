import { type EventEmitter, once } from 'node:events'
import { connect } from 'node:net'
import { TimeLimitError, withTimeLimit } from '../internal/time-limit.ts'
import type { ResolvedCustom } from '../config/custom-services.ts'
import type { Address, ServiceDefinition } from './service.ts'

/**
 * How long a connection must stay open, because the engine's proxy accepts connections before the server listens and
 * closes them at once.
 */
const STAYS_OPEN_MS = 50

/** Defines a user-defined service. It is usable once its port accepts connections. */
export function defineCustom({ service, hostPort, server, environment, command }: ResolvedCustom): ServiceDefinition {
  return {
    service,
    hostPort,
    environment,
    command,
    isCustom: true,
    probe: (address, signal) => probePort({ ...server, ...address }, signal),
  }
}

/** Checks that the port accepts connections. Returns an empty version, because the protocol is unknown. */
async function probePort({ host, port }: Address, signal: AbortSignal): Promise<string> {
  const socket = connect({ host, port })
  try {
    await once(socket, 'connect', { signal })
    if (await endsWithin(socket.resume(), STAYS_OPEN_MS)) {
      throw new Error('the connection was closed at once')
    }
    return ''
  } finally {
    socket.destroy()
  }
}

async function endsWithin(socket: EventEmitter, ms: number): Promise<boolean> {
  try {
    await withTimeLimit(ms, (signal) => once(socket, 'end', { signal }))
    return true
  } catch (error) {
    if (error instanceof TimeLimitError) {
      return false
    }
    throw error
  }
}
