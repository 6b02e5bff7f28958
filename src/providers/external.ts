import { InfraError, messageOf } from '../errors.ts'
import { redact } from '../internal/redact.ts'
import type { Address, StartedService } from '../services/service.ts'
import { type ResolvedSpec, serverOf, servicesOf } from '../config/resolve-spec.ts'
import type { Provider } from './provider.ts'

/** A server that says one of these will say it in a minute as well: wrong password, no such role or database, no entry. */
const FINAL = /^(?:28P01|28000|3D000|42501)$/
const FINAL_REPLY = /^(?:WRONGPASS|NOAUTH|NOPERM|ERR AUTH)/

/**
 * Hands on servers that are there already. It starts nothing and ends nothing, knows neither log nor container, and what
 * tests may have of a server is for the parts of the stack to claim.
 */
export function createExternalProvider(spec: ResolvedSpec): Provider {
  const { postgres, redis } = spec
  const servers = new Map(servicesOf(spec).map(({ service: { name } }) => [name, serverOf(spec, name)]))
  const secrets = [postgres, redis?.server]
  const places = [...servers].flatMap(([name, server]) => (server ? `${name} on ${server.host}:${server.port}` : []))
  return {
    name: 'external',
    description: `Servers that are there already: ${places.join(', ')} (as asked for)`,
    async sweep() {},
    async start({ service: { name }, probe }, { signal }) {
      const { host, port } = servers.get(name) as Address
      const address = { host, port }
      await probe(address, signal).catch((error: unknown) => {
        signal.throwIfAborted()
        if (isFinal(error)) {
          const { user, password } = secrets[name === 'postgres' ? 0 : 1] ?? {}
          throw refused(name, address, redact(messageOf(error), { user, password }))
        }
      })
      return describeServer(name, address)
    },
  }
}

function describeServer(name: string, address: Address): StartedService {
  return {
    address,
    label: `${name} on ${address.host}:${address.port}`,
    instances: [],
    snapshot: { kind: 'none' },
    freeBytes: async () => undefined,
    takeBase: async () => {},
    // The declared check runs programs of the image. The health gate also sends a real query.
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
  const url = service === 'postgres' ? 'DATABASE_URL' : 'REDIS_URL'
  return new InfraError('INFRA_SERVICE_START', {
    problem: `Cannot use service "${service}" on ${host}:${port}: ${reason}`,
    remedy: `Correct user and password in external.${service} or ${url}`,
    service,
    provider: 'external',
  })
}
