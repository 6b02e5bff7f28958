import { messageOf } from '../../../errors.ts'

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

const NOBODY_THERE = new Set(['ENOENT', 'ENOTDIR', 'ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT'])

/** Why a place where an engine may listen is not one. The message fits after "<place>: ". */
export class ProbeError extends Error {
  /** The system's code where there is one. */
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

  /** Whether nothing seems to run there, rather than something that is wrong. */
  get isAbsence(): boolean {
    return this.code === 'SILENT' || (this.code !== undefined && NOBODY_THERE.has(this.code))
  }

  /** The reason within a sentence that has already named the place as one where an engine should answer. */
  get sentence(): string {
    const absence = this.code === 'SILENT' ? this.message.replace('no answer', '') : ` (${this.code})`
    return this.isAbsence ? `nothing answers there${absence}` : this.message
  }
}
