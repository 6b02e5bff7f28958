/** Stable identifiers of every error that vitest-infra raises on purpose. */
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
  /** What happened and why: "Cannot <verb> <thing>: <observed state>". Sentence case, no final stop. */
  readonly problem: string
  /** What to do: names an exact option, variable or command. */
  readonly remedy: string
  /** Further lines between the two, such as the tail of a log. */
  readonly detail?: string
  /** The service concerned. */
  readonly service?: string
  /** The provider concerned. */
  readonly provider?: string
  readonly cause?: unknown
}

/**
 * Every error that vitest-infra raises on purpose. Its message says what happened, why, and, in the last line, what to do.
 * Tell them apart by {@link InfraError.code}, which does not change between versions.
 */
export class InfraError extends Error {
  readonly code: InfraErrorCode
  declare readonly service?: string
  declare readonly provider?: string
  readonly remedy: string

  constructor(code: InfraErrorCode, details: InfraErrorDetails) {
    const lines = [details.problem, details.detail, details.remedy].filter((line) => line !== undefined && line !== '')
    super(lines.join('\n'), details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'InfraError'
    this.code = code
    // Left out where unknown, since Vitest prints every property of an error.
    Object.assign(this, details.service && { service: details.service })
    Object.assign(this, details.provider && { provider: details.provider })
    this.remedy = details.remedy
  }
}

/** The message of anything that was thrown, for use inside another error's text. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') {
    return error.errors.map(messageOf).join('; ')
  }
  return error instanceof Error ? error.message : String(error)
}
