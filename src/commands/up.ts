import { availableParallelism } from 'node:os'
import { InfraError } from '../errors.ts'
import { systemClock } from '../internal/clock.ts'
import { parseDurationMs } from '../internal/duration.ts'
import { readProject } from '../read-project.ts'
import type { Report } from '../report/events.ts'
import { versioned } from '../report/versioned.ts'
import { psqlCommand } from '../services/postgres.ts'
import type { ResolvedSpec } from '../config/resolve-spec.ts'
import { startInfra } from '../stack/start-infra.ts'
import type { HealthyService } from '../services/service.ts'

export interface UpOptions {
  readonly environment: Record<string, string | undefined>
  readonly directory: string
  /** Duration for which an unused stack keeps running, such as `30m`. */
  readonly ttl: string
  readonly report: Report
  /**
   * Called when the start begins, with a function that stops the stack. Returns a function that is called after the
   * start.
   */
  readonly whileStarting: (stop: () => Promise<void>) => () => void
}

/** The reason why `up` does not support a provider, by provider. */
const WHY_NOT = {
  embedded: 'local processes exit with the process that started them',
  external: 'its servers are not started by vitest-infra',
}

/** Starts the stack of a project unless it is running, and leaves it running. Returns its addresses. */
export async function up({ environment, directory, ttl, report, whileStarting }: UpOptions): Promise<string> {
  const keepAliveMs = parseDurationMs(ttl, '--ttl')
  const spec = await readProject({ directory, environment })
  if (spec.provider === 'embedded' || spec.provider === 'external') {
    throw providerUnsupported(spec.provider)
  }
  const infra = startInfra(
    { ...spec, provider: 'docker', keepAliveMs },
    { environment, workers: availableParallelism(), variables: () => ({}), report, clock: systemClock },
  )
  const done = whileStarting(() => infra.stop())
  try {
    const { services } = await infra.up
    const lines = services.map((service) => `${describe(service)}${describeClient(service, spec)}`)
    return [
      ...lines,
      `Run tests with: npx vitest. The servers stop ${ttl} after their last use; to stop them now: vitest-infra down`,
    ].join('\n')
  } finally {
    await infra.stop()
    done()
  }
}

function providerUnsupported(provider: keyof typeof WHY_NOT): InfraError {
  return new InfraError('INFRA_NO_PROVIDER', {
    problem: `Cannot keep a stack running with the provider "${provider}": ${WHY_NOT[provider]}`,
    remedy: "Set provider to 'docker', or remove the option",
    provider,
  })
}

function describe({ name, version, address }: HealthyService): string {
  return `${versioned(name, version)} on ${address.host}:${address.port}`
}

/** Returns the command that opens a client for a service, if there is one. */
function describeClient({ name, address, container = '' }: HealthyService, { postgres }: ResolvedSpec): string {
  if (name === 'postgres' && postgres) {
    return `: ${psqlCommand({ ...address, user: postgres.user, database: postgres.database }, container)}`
  }
  return name === 'redis' ? `: docker exec -it ${container} redis-cli` : ''
}
