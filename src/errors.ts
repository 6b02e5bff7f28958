import { inspect } from 'node:util'

/** Stable codes of all errors that vitest-infra raises on purpose. */
export type InfraErrorCode =
  | 'INFRA_CONFIG_LOAD'
  | 'INFRA_CONFIG_INVALID'
  | 'INFRA_DURATION_INVALID'
  | 'INFRA_PORT_INVALID'
  | 'INFRA_PORT_TAKEN'
  | 'INFRA_PORT_VARIABLE_MISSING'
  | 'INFRA_NAME_DUPLICATE'
  | 'INFRA_HEALTHCHECK_WINDOW'
  | 'INFRA_MIRROR_DIFFERS'
  | 'INFRA_OPTIONS_CONFLICT'
  | 'INFRA_ENV_FUNCTION'
  | 'INFRA_ENGINE_UNREACHABLE'
  | 'INFRA_NO_PROVIDER'
  | 'INFRA_HOST_REFUSED'
  | 'INFRA_ROLE_REFUSED'
  | 'INFRA_NOT_UP'
  | 'INFRA_IMAGE_PULL'
  | 'INFRA_SERVICE_START'
  | 'INFRA_SERVICE_UNHEALTHY'
  | 'INFRA_SERVICE_EXITED'
  | 'INFRA_SERVICE_LOST'
  | 'INFRA_SEED_MISSING'
  | 'INFRA_SEED_FAILED'
  | 'INFRA_TEMPLATE_UNKNOWN'
  | 'INFRA_TEMPLATE_CYCLE'
  | 'INFRA_TEMPLATE_UNDECLARED'
  | 'INFRA_LEASE_FAILED'
  | 'INFRA_LEASE_LIMIT'
  | 'INFRA_SERVICE_SHARED'
  | 'INFRA_START_ABORTED'
  | 'INFRA_STOP_FAILED'

export interface InfraErrorDetails {
  /**
   * The first line: what happened and why, as in "Cannot <verb> <thing>: <observed state>". Sentence case, without a
   * full stop.
   */
  readonly problem: string
  /** What to do, with the exact option, variable or command. */
  readonly remedy: string
  /** Additional lines between problem and remedy, such as the end of a log. */
  readonly detail?: string
  /** The service concerned. */
  readonly service?: string
  /** The provider concerned. */
  readonly provider?: string
  readonly cause?: unknown
}

/**
 * An error that vitest-infra raises on purpose. Its message says what happened, why, and, in the last line, what to do.
 * Distinguish errors by {@link InfraError.code}, which does not change between versions.
 */
export class InfraError extends Error {
  readonly code: InfraErrorCode
  declare readonly service?: string
  declare readonly provider?: string
  readonly remedy: string

  constructor(code: InfraErrorCode, details: InfraErrorDetails) {
    const lines = [details.problem, details.detail, details.remedy].filter((line) => line !== undefined && line !== '')
    super(lines.join('\n'), details.cause === undefined ? undefined : { cause: plainError(details.cause) })
    this.name = 'InfraError'
    this.code = code
    // Not set if unknown, as Vitest prints every property of an error.
    Object.assign(this, details.service && { service: details.service })
    Object.assign(this, details.provider && { provider: details.provider })
    this.remedy = details.remedy
  }
}

/** Maximum length of a chain of causes. */
const MAX_DEPTH = 10

/**
 * Copies anything that was thrown into a plain `Error`: name, message, stack, code, cause and the errors of an
 * aggregate.
 *
 * Vitest writes `Caused by:` into the name of each cause before it prints it. This throws if the name is read-only, as
 * on an error of ioredis, a DOMException or a frozen object, and hides the original error.
 */
export function plainError(thrown: unknown): Error {
  return copyError(thrown, [])
}

/** Returns the message of anything that was thrown, for use in another error's text. */
export function messageOf(thrown: unknown): string {
  return messageWithin(thrown, [])
}

/** @param outer the enclosing aggregates without a message; ends the recursion if an aggregate contains itself */
function messageWithin(thrown: unknown, outer: readonly unknown[]): string {
  const message = readText(thrown, 'message')
  const errors = message === '' && !outer.includes(thrown) ? errorsOf(thrown) : undefined
  return errors?.map((error) => messageWithin(error, [...outer, thrown])).join('; ') ?? message ?? show(thrown)
}

function copyError(thrown: unknown, outer: readonly unknown[]): Error {
  const path = [...outer, thrown]
  const name = readText(thrown, 'name') ?? 'Error'
  const message = messageOf(thrown)
  const code = read(thrown, 'code')
  const cause = read(thrown, 'cause')
  const causes = path.length < MAX_DEPTH ? errorsOf(thrown)?.filter((error) => !path.includes(error)) : undefined
  const isNamed = cause !== undefined && cause !== null && !path.includes(cause) && path.length < MAX_DEPTH
  const properties = {
    name,
    stack: readText(thrown, 'stack') ?? `${name}: ${message}`,
    ...(isNamed && { cause: copyError(cause, path) }),
    ...(causes && { errors: causes.map((error) => copyError(error, path)) }),
  }
  // Writable, because Vitest changes the name; non-enumerable, because Vitest prints every enumerable property.
  const descriptors = Object.entries(properties).map(([key, value]) => [
    key,
    { value, writable: true, configurable: true },
  ])
  const plain = Object.defineProperties(new Error(message), Object.fromEntries(descriptors))
  return typeof code === 'string' || typeof code === 'number' ? Object.assign(plain, { code }) : plain
}

function errorsOf(thrown: unknown): readonly unknown[] | undefined {
  const errors = read(thrown, 'errors')
  return Array.isArray(errors) ? errors : undefined
}

function readText(thrown: unknown, key: string): string | undefined {
  const value = read(thrown, key)
  return typeof value === 'string' ? value : undefined
}

/** Reads a property of any value; undefined if a getter or proxy throws. */
function read(thrown: unknown, key: string): unknown {
  try {
    return typeof thrown === 'object' && thrown !== null ? (thrown as Record<string, unknown>)[key] : undefined
  } catch {
    return undefined
  }
}

function show(thrown: unknown): string {
  try {
    return typeof thrown === 'string' ? thrown : inspect(thrown, { depth: 1, breakLength: Infinity })
  } catch {
    return 'something was thrown that cannot be shown'
  }
}
