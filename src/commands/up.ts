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
import type { ReadyService } from '../stack/stack.ts'

export interface UpOptions {
  readonly environment: Record<string, string | undefined>
  readonly directory: string
  /** How long the stack stays up unused. */
  readonly ttl: string
  readonly report: Report
  /** Called with a function that stops what is starting; returns one to call when the start is over. */
  readonly whileStarting: (stop: () => Promise<void>) => () => void
}

/** Why there is nothing that `up` could leave up. */
const WHY_NOT = {
  embedded: 'local processes end with whoever started them',
  external: 'its servers are up already, and not ours to end',
}

/** Starts the stack of a project, or finds it up, leaves it up, and says where it is. */
export async function up({ environment, directory, ttl, report, whileStarting }: UpOptions): Promise<string> {
  const keepAliveMs = parseDurationMs(ttl, '--ttl')
  const spec = await readProject({ directory, environment })
  if (spec.provider === 'embedded' || spec.provider === 'external') {
    throw notToBeLeftUp(spec.provider)
  }
  const infra = startInfra(
    { ...spec, provider: 'docker', keepAliveMs },
    { environment, workers: availableParallelism(), variables: () => ({}), report, clock: systemClock },
  )
  const done = whileStarting(() => infra.stop())
  try {
    const { services } = await infra.up
    const lines = services.map((service) => `${describe(service)}${describeClient(service, spec)}`)
    return [...lines, `Tests use them: npx vitest. They end ${ttl} after the last use, or by: vitest-infra down`].join(
      '\n',
    )
  } finally {
    await infra.stop()
    done()
  }
}

function notToBeLeftUp(provider: keyof typeof WHY_NOT): InfraError {
  return new InfraError('INFRA_NO_PROVIDER', {
    problem: `Cannot bring the stack up with the provider "${provider}": ${WHY_NOT[provider]}`,
    remedy: "Set provider to 'docker', or leave it out",
    provider,
  })
}

function describe({ name, version, address }: ReadyService): string {
  return `${versioned(name, version)} on ${address.host}:${address.port}`
}

/** How to look into it, where there is a program for that. */
function describeClient({ name, address, container = '' }: ReadyService, { postgres }: ResolvedSpec): string {
  if (name === 'postgres' && postgres) {
    return `: ${psqlCommand({ ...address, user: postgres.user, database: postgres.database }, container)}`
  }
  return name === 'redis' ? `: docker exec -it ${container} redis-cli` : ''
}
