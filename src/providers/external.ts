import { InfraError, messageOf } from '../errors.ts'
import { redact } from '../internal/redact.ts'
import type { Address, StartedService } from '../services/service.ts'
import { URL_VARIABLES } from '../config/external-servers.ts'
import { type ResolvedSpec, serverOf, servicesOf } from '../config/resolve-spec.ts'
import type { Provider } from './provider.ts'

/** PostgreSQL's codes of errors that waiting cannot fix: wrong password, unknown role or database, no access. */
const FINAL = /^(?:28P01|28000|3D000|42501)$/
const FINAL_REPLY = /^(?:WRONGPASS|NOAUTH|NOPERM|ERR AUTH)/

/**
 * Creates the provider for servers that are already running. It does not start or stop them, and has no access to their
 * logs or containers.
 */
export function createExternalProvider(spec: ResolvedSpec): Provider {
  const servers = new Map(servicesOf(spec).map(({ service: { name } }) => [name, serverOf(spec, name)]))
  const accounts = new Map<string, Account | undefined>([
    ['postgres', spec.postgres],
    ['redis', spec.redis?.server],
  ])
  const places = [...servers].flatMap(([name, server]) => (server ? `${name} on ${server.host}:${server.port}` : []))
  return {
    name: 'external',
    description: `Existing servers: ${places.join(', ')} (as asked for)`,
    async sweep() {},
    async start({ service: { name }, probe }, { signal }) {
      const { host, port } = servers.get(name) as Address
      const address = { host, port }
      await probe(address, signal).catch((error: unknown) => {
        signal.throwIfAborted()
        if (isFinal(error)) {
          const { user, password } = accounts.get(name) ?? {}
          throw refused(name, address, redact(messageOf(error), { user, password }))
        }
      })
      return describeServer(name, address)
    },
  }
}

interface Account {
  readonly user?: string
  readonly password?: string
}

function describeServer(name: string, address: Address): StartedService {
  return {
    address,
    label: `${name} on ${address.host}:${address.port}`,
    instances: [],
    snapshot: { kind: 'none' },
    freeBytes: async () => undefined,
    takeBase: async () => {},
    // The declared healthcheck needs programs of the image, so it cannot run here. The health gate also sends a real
    // query.
    runHealthcheck: async () => ({ passed: true, output: 'the declared command is for containers' }),
    status: async () => ({ running: true }),
    logTail: async () => '(not ours to read)',
    stop: async () => {},
  }
}

function isFinal(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return FINAL.test(code) || FINAL_REPLY.test(messageOf(error))
}

function refused(service: string, { host, port }: Address, reason: string): InfraError {
  const url = URL_VARIABLES[service]
  return new InfraError('INFRA_SERVICE_START', {
    problem: `Cannot use service "${service}" on ${host}:${port}: ${reason}`,
    remedy: `Correct user and password in external.${service}${url ? ` or ${url}` : ''}`,
    service,
    provider: 'external',
  })
}
