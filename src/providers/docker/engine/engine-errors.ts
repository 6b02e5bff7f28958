import { messageOf } from '../../../errors.ts'

/** Thrown when the engine answers a request with an error. */
export class EngineRefusal extends Error {
  override readonly name = 'EngineRefusal'
  readonly statusCode: number
  /** The engine's error message; empty if it sent none. */
  readonly reason: string

  constructor(statusCode: number, body: string) {
    const reason = messageIn(body).trim()
    super(`HTTP ${statusCode}${reason === '' ? '' : `: ${reason}`}`)
    this.statusCode = statusCode
    this.reason = reason
  }
}

/** Whether a request failed with 404 or 409: the container does not exist, or it does not run or is being removed. */
export function isGone(error: unknown): boolean {
  // Errors of Testcontainers have a status code, too.
  const { statusCode } = error as { statusCode?: number }
  return statusCode === 404 || statusCode === 409
}

/**
 * Returns the error message in an answer. Engines send `{"message":"…"}`, but a proxy in front of one may send
 * anything.
 */
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

/** The reason why no engine can be used at an address. The message is worded to follow "<place>: ". */
export class ProbeError extends Error {
  /** The system's error code, or `SILENT`, `FOREIGN`, `TLS`, `SSH` or `UNREADABLE`; undefined for any other failure. */
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

  /**
   * Whether nothing seems to listen at the address. Otherwise something listens, but it is no engine or access to it
   * fails.
   */
  get isAbsence(): boolean {
    return this.code === 'SILENT' || (this.code !== undefined && NOTHING_LISTENS.has(this.code))
  }

  /** The reason, worded as the end of a sentence that has already named the address. */
  get sentence(): string {
    const absence = this.code === 'SILENT' ? this.message.replace('no answer', '') : ` (${this.code})`
    return this.isAbsence ? `nothing answers there${absence}` : this.message
  }
}
