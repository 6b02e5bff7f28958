import { messageOf } from '../../../errors.ts'

/** The engine answered, and refused the request. */
export class EngineRefusal extends Error {
  override readonly name = 'EngineRefusal'
  readonly statusCode: number
  /** The engine's own words; empty if it gave none. */
  readonly reason: string

  constructor(statusCode: number, body: string) {
    const reason = messageIn(body).trim()
    super(`HTTP ${statusCode}${reason === '' ? '' : `: ${reason}`}`)
    this.statusCode = statusCode
    this.reason = reason
  }
}

/** Whether a request failed because the container does not exist (404), does not run or is being removed (409). */
export function isGone(error: unknown): boolean {
  // Testcontainers' errors have a status code as well.
  const { statusCode } = error as { statusCode?: number }
  return statusCode === 404 || statusCode === 409
}

/** Engines send `{"message":"…"}`; a proxy in front of one may send anything. */
function messageIn(body: string): string {
  try {
    const { message }: { message?: unknown } = JSON.parse(body)
    return typeof message === 'string' ? message : body
  } catch {
    return body
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
  ECONNREFUSED: 'connection refused',
  EPIPE: 'the connection was closed without an answer',
  ECONNRESET: 'the connection was closed without an answer',
  EACCES: 'permission is denied',
  EPERM: 'permission is denied',
  ENOTFOUND: 'the host is unknown',
  EAI_AGAIN: 'the host is unknown',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to the network',
  ETIMEDOUT: 'no answer',
}

const NOTHING_LISTENS = new Set(['ENOENT', 'ENOTDIR', 'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'])

/** Why no engine can be used at an address. The message fits after "<place>: ". */
export class ProbeError extends Error {
  /** The system's error code, `SILENT`, `FOREIGN`, `TLS`, `SSH` or `UNREADABLE`; undefined for anything else. */
  readonly code: string | undefined

  constructor(reason: string, options: { code?: string | undefined; cause?: unknown } = {}) {
    super(reason, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ProbeError'
    this.code = options.code
  }

  static from(error: unknown): ProbeError {
    if (error instanceof ProbeError) {
      return error
    }
    if (error instanceof EngineRefusal) {
      const [line = ''] = error.message.split('\n', 1)
      return ProbeError.foreign(line.slice(0, 130), error)
    }
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined
    if (code?.startsWith('HPE_')) {
      return ProbeError.foreign('no HTTP', error)
    }
    const reason = code === undefined ? undefined : REASONS[code]
    return new ProbeError(reason ? `${reason} (${code})` : `the connection failed (${messageOf(error)})`, {
      code,
      cause: error,
    })
  }

  static silent(timeoutMs: number, cause: unknown): ProbeError {
    return new ProbeError(`no answer within ${timeoutMs / 1_000} s`, { code: 'SILENT', cause })
  }

  static foreign(what: string, cause?: unknown): ProbeError {
    return new ProbeError(`the answer is not a container engine's (${what})`, { code: 'FOREIGN', cause })
  }

  static tls(cause: unknown): ProbeError {
    return new ProbeError(`the TLS files cannot be read (${messageOf(cause)})`, { code: 'TLS', cause })
  }

  /** Whether nothing seems to listen there; otherwise something is there, but it or the access to it is wrong. */
  get isAbsence(): boolean {
    return this.code === 'SILENT' || (this.code !== undefined && NOTHING_LISTENS.has(this.code))
  }

  /** The reason as the end of a sentence that has named the address. */
  get sentence(): string {
    const absence = this.code === 'SILENT' ? this.message.replace('no answer', '') : ` (${this.code})`
    return this.isAbsence ? `nothing answers there${absence}` : this.message
  }
}
