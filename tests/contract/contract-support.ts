import { randomBytes } from 'node:crypto'
import { onTestFinished } from 'vitest'
import type { ProviderName } from '../../src/environment/infra-facts.ts'
import { awaitHealthy } from '../../src/health/gate.ts'
import { systemClock } from '../../src/internal/clock.ts'
import type { Provider } from '../../src/providers/provider.ts'
import { selectProvider } from '../../src/providers/select-provider.ts'
import { definePostgres } from '../../src/services/postgres.ts'
import { defineRedis } from '../../src/services/redis.ts'
import type { ServiceDefinition, StartedService } from '../../src/services/service.ts'
import type { ExternalOptions, InfraOptions } from '../../src/config/infra-options.ts'
import { type ResolvedPostgres, type ResolvedRedis, resolveSpec } from '../../src/config/resolve-spec.ts'

export const SERVICES = ['postgres', 'redis'] as const
const ROOT = import.meta.dirname

/** What a provider's test file defines for the contract tests. */
export interface ProviderCase {
  readonly name: ProviderName
  /** Lists the remains of everything that this process started and stopped. */
  readonly leftovers: () => Promise<readonly string[]>
  /** Returns addresses of existing servers; undefined if the provider starts its own. */
  readonly external?: () => ExternalOptions
}

export interface Opened {
  readonly provider: Provider
  readonly definition: ServiceDefinition
}

export type ServiceName = (typeof SERVICES)[number]
export type Open = (service: ServiceName, options?: InfraOptions, instances?: number) => Promise<Opened>

export interface OpenOptions {
  readonly service: ServiceName
  readonly options: InfraOptions
  readonly instances?: number
}

export async function openProvider(
  name: ProviderName,
  { service, options, instances = 0 }: OpenOptions,
): Promise<Opened> {
  const given = { ...options, provider: name }
  const spec = resolveSpec(given, { root: ROOT, source: 'the test', environment: { process: {} } })
  const runId = randomBytes(4).toString('hex')
  const provider = await selectProvider(spec, { environment: process.env, runId })
  const { postgres, redis } = spec as { postgres: ResolvedPostgres; redis: ResolvedRedis }
  return { provider, definition: service === 'postgres' ? definePostgres(postgres) : defineRedis(redis, instances) }
}

/** Starts a server, which is stopped after the test. */
export async function start(provider: Provider, definition: ServiceDefinition): Promise<StartedService> {
  const started = await provider.start(definition, { report: () => {}, signal: idle() })
  onTestFinished(() => started.stop())
  return started
}

export function admit(started: StartedService, definition: ServiceDefinition, windowMs = 30_000) {
  return awaitHealthy({ definition, started, windowMs, clock: systemClock, signal: idle() })
}

export function idle(): AbortSignal {
  return new AbortController().signal
}
