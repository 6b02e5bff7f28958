import { ProbeError } from './engine-errors.ts'

/** The address and the TLS files with which a client reaches an engine. */
export interface EngineAccess {
  /** A complete value for `DOCKER_HOST`. */
  readonly host: string
  /** The folder of `ca.pem`, `cert.pem` and `key.pem`; undefined for an engine without TLS. */
  readonly tlsDirectory?: string | undefined
}

/** An address where an engine may listen; `host` is a complete value for `DOCKER_HOST`. */
export type EngineAddress =
  | { readonly kind: 'socket'; readonly host: string; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly hostname: string; readonly port: number }

/**
 * Parses a host as the docker command does: a missing scheme means `tcp`, a missing port means 2375 (2376 with TLS).
 *
 * @throws {ProbeError} `SSH` or `UNREADABLE` for an address that Testcontainers cannot use
 */
export function parseEngineAddress(text: string, options: { tls: boolean }): EngineAddress {
  const [, scheme = 'tcp', rest = ''] = /^(?:([a-z]+):\/\/)?(.*)$/s.exec(text) ?? []
  switch (scheme) {
    case 'unix':
      return socketAddress('unix', rest || '/var/run/docker.sock')
    case 'npipe':
      return socketAddress('npipe', rest || '//./pipe/docker_engine')
    case 'tcp':
    case 'http':
    case 'https':
      return tcpAddress(rest, options.tls ? 2376 : 2375)
    case 'ssh':
      throw new ProbeError('Testcontainers cannot use an ssh address', { code: 'SSH' })
    default:
      throw unreadable()
  }
}

/** Returns a host without its password, so that it can be printed. */
export function withoutPassword(host: string): string {
  return host.replace(/(\/\/[^/:]*):[^/]*@/, '$1@')
}

function socketAddress(scheme: 'unix' | 'npipe', path: string): EngineAddress {
  if (!path.startsWith('/')) {
    throw unreadable()
  }
  return { kind: 'socket', host: `${scheme}://${path}`, path }
}

function tcpAddress(rest: string, defaultPort: number): EngineAddress {
  const url = URL.parse(`tcp://${rest.startsWith(':') ? `localhost${rest}` : rest}`)
  if (url === null || url.hostname === '' || (url.pathname !== '' && url.pathname !== '/')) {
    throw unreadable()
  }
  const port = url.port === '' ? defaultPort : Number(url.port)
  const hostname = url.hostname.replace(/^\[(.*)\]$/, '$1')
  return { kind: 'tcp', host: `tcp://${url.hostname}:${port}`, hostname, port }
}

function unreadable(): ProbeError {
  return new ProbeError('not the address of a container engine', { code: 'UNREADABLE' })
}
