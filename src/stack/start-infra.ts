import { randomBytes } from 'node:crypto'
import type { StackFacts } from '../environment/infra-facts.ts'
import { InfraError, messageOf } from '../errors.ts'
import { unlessAbandoned } from '../internal/abortable.ts'
import type { Clock } from '../internal/clock.ts'
import type { LeaseBroker } from '../leasing/lease-broker.ts'
import type { LeaseSources } from '../leasing/lease-source.ts'
import type { UseFindings } from '../leasing/lease-use.ts'
import type { LeaseServer } from '../leasing/lease-server.ts'
import type { Provider } from '../providers/provider.ts'
import { selectProvider } from '../providers/select-provider.ts'
import { LeaseStatistics } from '../report/lease-statistics.ts'
import type { Report } from '../report/events.ts'
import { defineCustom } from '../services/custom.ts'
import type { HealthyService } from '../services/service.ts'
import { type ResolvedSpec, servicesOf } from '../config/resolve-spec.ts'
import type { ExternalPostgresBackend } from '../external/postgres-backend.ts'
import type { ExternalRedisBackend } from '../external/redis-backend.ts'
import type { BackendContext } from '../leasing/backend-context.ts'
import { ManagedPostgresBackend } from './managed-postgres.ts'
import { ManagedRedisBackend } from './managed-redis.ts'
import { Stack, startAborted } from './stack.ts'
import { describeStack } from './stack-facts.ts'

export interface StartContext {
  /** The process's environment. */
  readonly environment: Record<string, string | undefined>
  /** Maximum number of workers of the run at once. */
  readonly workers: number
  /** Returns the environment variables that point a project to the stack that `facts` describes. */
  readonly variables: (project: string, facts: StackFacts) => Readonly<Record<string, string>>
  /**
   * Whether the run continues after the tests, as in watch mode, so that users can inspect the stack.
   *
   * @default false
   */
  readonly staysUp?: boolean
  /** Called with the new addresses after a server was restarted. */
  readonly onMoved?: (facts: StackFacts) => void
  readonly report: Report
  readonly clock: Clock
}

/** A stack that is up. */
export interface UpInfra {
  readonly facts: StackFacts
  readonly services: readonly HealthyService[]
  /** Path of the socket through which workers request leases. */
  readonly socket: string
  /** Call it before the tests run again. */
  beginRerun(): void
  /** Reads the inputs of templates and seeds again. */
  refresh(): Promise<void>
  /** Call it after the tests; `isWhole` if all tests of the project ran and passed. */
  endTests(outcome: { readonly isWhole: boolean }): void
  /** Waits for background work for the next run, and reports findings about this one, until `abandon` aborts. */
  settle(abandon: AbortSignal): Promise<void>
  /** Whether the stack stays up after the tests. */
  readonly staysUp: boolean
  /** How long the servers stay up unused, in milliseconds; undefined if they stop with this run. */
  idleTimeoutMs(): number | undefined
  /** Returns the retained databases of failed tests, with the command that opens each. */
  retained(): readonly { readonly owner: string; readonly command: string }[]
}

/** A stack that is starting. */
export interface StartingInfra {
  /** Resolves when every service is healthy and seeded. If it rejects, nothing is left. */
  readonly up: Promise<UpInfra>
  /** Describes what the start is waiting for, for a message. */
  awaits(): string
  /**
   * Stops everything, at any stage, and waits for it until `abandon` aborts.
   *
   * @throws InfraError `INFRA_STOP_FAILED`, also if `abandon` aborts first
   */
  stop(abandon?: AbortSignal): Promise<void>
}

/** Starts the stack that a spec describes. */
export function startInfra(spec: ResolvedSpec, context: StartContext): StartingInfra {
  const abort = new AbortController()
  const opening = openBackends(spec, context)
  let opened: Backends | undefined
  const up = opening.then((backends) => {
    opened = backends
    abort.signal.throwIfAborted()
    return bringUp(spec, backends, { ...context, signal: abort.signal })
  })
  return {
    up,
    awaits: () => describeAwaited(opened),
    async stop(abandon = new AbortController().signal) {
      abort.abort(startAborted())
      const backends = await unlessAbandoned(
        opening.catch(() => undefined),
        abandon,
      )
      const closing = up.then(
        ({ server, statistics }) => {
          const summary = statistics.summarize()
          if (summary) {
            context.report({ type: 'leases-summary', ...summary })
          }
          return server.close()
        },
        () => {},
      )
      const closed = [backends?.redis?.close(closing, abandon), backends?.postgres?.close(closing, abandon)]
      if (backends?.stack.staysUp) {
        // Everything is closed before the servers are detached, because another run may attach immediately.
        await unlessAbandoned(Promise.allSettled([closing, ...closed]), abandon)
      }
      // Waits for all, also after a failure, so that no rejection is unhandled.
      const outcomes = await unlessAbandoned(
        Promise.allSettled([backends?.stack.stop(abandon), closing, ...closed]),
        abandon,
      )
      if (!outcomes) {
        throw notEnded(backends)
      }
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') {
          throw outcome.reason
        }
      }
    },
  }
}

function describeAwaited(backends: Backends | undefined): string {
  const missing = backends?.stack.missing ?? []
  return missing.length > 0 ? `the start of ${missing.join(' and ')}` : 'the start of the stack'
}

function notEnded(backends: Backends | undefined): InfraError {
  return new InfraError('INFRA_STOP_FAILED', {
    problem: `Cannot stop the stack in the time that a run has for its end${backends ? '' : ': its start cannot be held up'}`,
    remedy: "Raise teardownTimeout in Vitest's configuration; what is left of the stack ends with this process",
  })
}

interface Backends {
  readonly provider: Provider
  readonly stack: Stack
  readonly postgres: ManagedPostgresBackend | ExternalPostgresBackend | undefined
  readonly redis: ManagedRedisBackend | ExternalRedisBackend | undefined
}

const MANAGED = { Postgres: ManagedPostgresBackend, Redis: ManagedRedisBackend }

async function loadExternalBackends() {
  const { ExternalPostgresBackend: Postgres } = await import('../external/postgres-backend.ts')
  const { ExternalRedisBackend: Redis } = await import('../external/redis-backend.ts')
  return { Postgres, Redis }
}

/**
 * Selects the provider and plans the services. It finds every error that does not need a server before one is started.
 */
async function openBackends(spec: ResolvedSpec, context: StartContext): Promise<Backends> {
  const { environment, report, clock, workers } = context
  const runId = randomBytes(4).toString('hex')
  const { root, snapshot: snapshots, startupTimeoutMs } = spec
  const shared: BackendContext = { root, runId, workers, snapshots, startupTimeoutMs, report, clock }
  const { Postgres, Redis } = spec.provider === 'external' ? await loadExternalBackends() : MANAGED
  // Runs in parallel with the reading of files. An error in the files is reported first.
  const selecting = selectProvider(spec, { environment, runId })
  void selecting.catch(() => {})
  const postgres = spec.postgres && Postgres.plan(spec.postgres, shared)
  const redis = spec.redis && Redis.plan(spec.redis, shared)
  const provider = await selecting
  report({ type: 'provider-selected', description: provider.description })
  const builtIn = [postgres, redis].flatMap((known) => known?.definition ?? [])
  const definitions = [...builtIn, ...spec.custom.map(defineCustom)]
  // Preload only: the later import reports failures.
  const onWaiting = () =>
    void Promise.allSettled([
      import('../leasing/lease-broker.ts'),
      import('../leasing/lease-server.ts'),
      postgres?.load(),
      redis?.load(),
    ])
  const restarted = servicesOf(spec).flatMap(({ service, restart }) => (restart ? [service.name] : []))
  return {
    provider,
    postgres,
    redis,
    stack: new Stack({ provider, definitions, startupTimeoutMs, restarted, report, clock, onWaiting }),
  }
}

interface Leasing {
  readonly broker: LeaseBroker
  readonly server: LeaseServer
  readonly report: Report
  /** Returns the facts and the lease sources of a stack with these services. */
  readonly sourcesOf: (services: readonly HealthyService[]) => LeaseSources
  readonly onMoved: (facts: StackFacts) => void
}

/** Reports each lost server, up to the first that is not restarted: later losses follow from that one. */
async function reportLosses(stack: Stack, { broker, server, report, sourcesOf, onMoved }: Leasing): Promise<void> {
  for await (const { lost: losing, restarted } of stack.losses) {
    const coming = restarted?.then(sourcesOf)
    const comesBack = coming !== undefined
    if (comesBack) {
      broker.await(coming)
    }
    const { error, ...lost } = await losing
    // Workers are notified first: until then, their tests fail without the reason.
    server.reportLoss(error, { comesBack })
    report({ type: 'service-lost', ...lost, message: error.message, comesBack })
    if (!comesBack) {
      return
    }
    try {
      onMoved((await coming).stack)
    } catch (failure) {
      if (failure instanceof InfraError && failure.code === 'INFRA_START_ABORTED') {
        // The run is ending.
        return
      }
      server.reportLoss(error, { comesBack: false })
      report({ type: 'service-lost', label: lost.label, lines: [], message: messageOf(failure), comesBack: false })
      return
    }
  }
}

interface UseContext {
  readonly spec: ResolvedSpec
  readonly isWhole: boolean
  readonly report: Report
}

function reportUse({ strayed, unused, changed, sharing }: UseFindings, { spec, isWhole, report }: UseContext): void {
  strayed.forEach((some) => report({ type: 'lease-unused', ...some }))
  // A test that did not run, or failed, might have used the service.
  for (const service of isWhole ? unused : []) {
    const others = (['postgres', 'redis'] as const).filter((name) => spec[name] && !unused.includes(name))
    const variables = changed.filter((variable) => variable.service === service)
    report({ type: 'service-unused', service, others, isListed: spec.custom.length === 0, changed: variables })
  }
  if (sharing.length > 0) {
    report({ type: 'main-shared', projects: sharing })
  }
}

async function bringUp(
  spec: ResolvedSpec,
  backends: Backends,
  context: StartContext & { readonly signal: AbortSignal },
) {
  const { variables, clock, report, onMoved } = context
  const { stack, provider, postgres, redis } = backends
  const services = await stack.start()
  const staysUp = context.staysUp || stack.staysUp
  // Runs in the background, because no test needs it. The next run retries what cannot be removed now.
  void provider.sweep(context.signal).catch(() => {})
  const { LeaseBroker, noSource } = await import('../leasing/lease-broker.ts')
  const { LeaseServer: Server } = await import('../leasing/lease-server.ts')
  const statistics = new LeaseStatistics()
  const sourcesOf = (ready: readonly HealthyService[]) => ({
    stack: describeStack(spec, provider.name, ready, { postgres: postgres?.main, redis: redis?.main }),
    databases: postgres?.databases ?? noSource('postgres'),
    redises: redis?.leases ?? noSource('redis'),
  })
  const sources = sourcesOf(services)
  let isWhole = false
  const broker = new LeaseBroker({
    sources,
    limits: { ...(postgres?.limit && { postgres: postgres.limit }), ...(redis?.limit && { redis: redis.limit }) },
    environment: variables,
    clock,
    onGranted: (waitedMs) => statistics.add(waitedMs),
    onWaiting: (wait) => report({ type: 'lease-waiting', ...wait }),
    onConnectionsLeft: (owner, sessions) => report({ type: 'connections-left', owner, sessions }),
    onLog: (owner, log) => report({ type: 'test-log', owner, ...log }),
    staysUp,
  })
  const [server] = await Promise.all([Server.open(broker), broker.watchUse()])
  void reportLosses(stack, { broker, server, report, sourcesOf, onMoved: (facts) => onMoved?.(facts) })
  return {
    facts: sources.stack,
    services,
    staysUp,
    idleTimeoutMs: () => stack.idleTimeoutMs,
    socket: server.path,
    beginRerun: () => broker.beginRerun(),
    refresh: async () => {
      redis?.refresh()
      await postgres?.refresh()
    },
    endTests(outcome: { readonly isWhole: boolean }) {
      isWhole = outcome.isWhole
      void broker.endRun()
    },
    settle: async (abandon: AbortSignal) => {
      const [use] = await Promise.all([
        unlessAbandoned(broker.findUse(), abandon),
        postgres?.settle(abandon),
        unlessAbandoned(redis?.settle() ?? Promise.resolve(), abandon),
      ])
      if (use) {
        reportUse(use, { spec, isWhole, report })
      }
    },
    retained: () =>
      broker.retained().map(({ owner, database }) => ({ owner, command: postgres?.commandFor(database) ?? database })),
    server,
    statistics,
  }
}
