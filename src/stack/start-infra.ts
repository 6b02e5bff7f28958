import { randomBytes } from 'node:crypto'
import type { StackFacts } from '../environment/infra-facts.ts'
import { InfraError, messageOf } from '../errors.ts'
import { unlessLetGo } from '../internal/abortable.ts'
import type { Clock } from '../internal/clock.ts'
import type { LeaseBroker, LeaseSources } from '../leasing/lease-broker.ts'
import type { UseFindings } from '../leasing/lease-use.ts'
import type { LeaseServer } from '../leasing/lease-server.ts'
import type { Provider } from '../providers/provider.ts'
import { selectProvider } from '../providers/select-provider.ts'
import { LeaseStatistics } from '../report/lease-statistics.ts'
import type { Report } from '../report/events.ts'
import { defineCustom } from '../services/custom.ts'
import { type ResolvedSpec, servicesOf } from '../config/resolve-spec.ts'
import type { ExternalPostgresBackend } from '../external/postgres-backend.ts'
import type { ExternalRedisBackend } from '../external/redis-backend.ts'
import type { BackendContext } from '../leasing/backend-context.ts'
import { ManagedPostgresBackend } from './managed-postgres.ts'
import { ManagedRedisBackend } from './managed-redis.ts'
import { type ReadyService, Stack, startAborted } from './stack.ts'
import { describeStack } from './stack-facts.ts'

export interface StartContext {
  /** The process's environment. */
  readonly environment: Record<string, string | undefined>
  /** How many workers the run may have at once. */
  readonly workers: number
  /** The variables of a project for what a file of it was given. */
  readonly variables: (project: string, facts: StackFacts) => Readonly<Record<string, string>>
  /**
   * Whether the run stays up when the tests have run, so that the stack can be looked into.
   *
   * @default false
   */
  readonly livesOn?: boolean
  /** Called with the new addresses when a server was restarted. */
  readonly onMoved?: (facts: StackFacts) => void
  readonly report: Report
  readonly clock: Clock
}

/** What is up once everything is. */
export interface UpInfra {
  readonly facts: StackFacts
  readonly services: readonly ReadyService[]
  /** Path of the socket on which workers lease. */
  readonly socket: string
  /** Says that the tests are about to run again. */
  beginRerun(): void
  /** Looks again at what the templates are made from. */
  refresh(): Promise<void>
  /** Says that the tests have run; and whether all that there are have, and passed. */
  endTests(outcome: { readonly isWhole: boolean }): void
  /**
   * Waits for what is done in the background for the next run, and reports what was found out about this one; no longer
   * than until `letGo` aborts.
   */
  settle(letGo: AbortSignal): Promise<void>
  /** Whether the stack is still there when the tests have run. */
  readonly livesOn: boolean
  /** How long the servers stay up without a run, if they stay up after this one. */
  idleTimeoutMs(): number | undefined
  /** The databases of tests that failed which can still be looked into, and how. */
  retained(): readonly { readonly owner: string; readonly command: string }[]
}

/** A stack on its way up. */
export interface StartingInfra {
  /** Resolves when every service is healthy and seeded; rejects with the reason if not, and leaves nothing. */
  readonly up: Promise<UpInfra>
  /** What a start waits for. */
  awaits(): string
  /**
   * Takes everything down, at whatever stage it is, and waits for it until `letGo` aborts.
   *
   * @throws InfraError `INFRA_STOP_FAILED`, also if `letGo` aborts first
   */
  stop(letGo?: AbortSignal): Promise<void>
}

/** Brings up what a spec asks for. */
export function startInfra(spec: ResolvedSpec, context: StartContext): StartingInfra {
  const abort = new AbortController()
  const opening = openParts(spec, context)
  let opened: Parts | undefined
  const up = opening.then((parts) => {
    opened = parts
    abort.signal.throwIfAborted()
    return bringUp(spec, parts, { ...context, signal: abort.signal })
  })
  return {
    up,
    awaits: () => describeAwaited(opened),
    async stop(letGo = new AbortController().signal) {
      abort.abort(startAborted())
      const parts = await unlessLetGo(
        opening.catch(() => undefined),
        letGo,
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
      const closed = [parts?.redis?.close(closing, letGo), parts?.postgres?.close(closing, letGo)]
      if (parts?.stack.livesOn) {
        // The next run may come as soon as it is let go of.
        await unlessLetGo(Promise.allSettled([closing, ...closed]), letGo)
      }
      // All of them settle before a failure leaves, so that none of it is left unhandled.
      const outcomes = await unlessLetGo(Promise.allSettled([parts?.stack.stop(letGo), closing, ...closed]), letGo)
      if (!outcomes) {
        throw notEnded(parts)
      }
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') {
          throw outcome.reason
        }
      }
    },
  }
}

function describeAwaited(parts: Parts | undefined): string {
  const missing = parts?.stack.missing ?? []
  return missing.length > 0 ? `the start of ${missing.join(' and ')}` : 'the start of the stack'
}

function notEnded(parts: Parts | undefined): InfraError {
  return new InfraError('INFRA_STOP_FAILED', {
    problem: `Cannot stop the stack in the time that a run has for its end${parts ? '' : ': its start cannot be held up'}`,
    remedy: "Raise teardownTimeout in Vitest's configuration; what is left of the stack ends with this process",
  })
}

interface Parts {
  readonly provider: Provider
  readonly stack: Stack
  readonly postgres: ManagedPostgresBackend | ExternalPostgresBackend | undefined
  readonly redis: ManagedRedisBackend | ExternalRedisBackend | undefined
}

const OWN_PARTS = { Postgres: ManagedPostgresBackend, Redis: ManagedRedisBackend }

async function loadExternalParts() {
  const { ExternalPostgresBackend: Postgres } = await import('../external/postgres-backend.ts')
  const { ExternalRedisBackend: Redis } = await import('../external/redis-backend.ts')
  return { Postgres, Redis }
}

/** Everything that can be wrong without a server is found here, before one is started. */
async function openParts(spec: ResolvedSpec, context: StartContext): Promise<Parts> {
  const { environment, report, clock, workers } = context
  const runId = randomBytes(4).toString('hex')
  const { root, snapshot: snapshots, startupTimeoutMs } = spec
  const part: BackendContext = { root, runId, workers, snapshots, startupTimeoutMs, report, clock }
  const { Postgres, Redis } = spec.provider === 'external' ? await loadExternalParts() : OWN_PARTS
  // The engine answers while files are read. An error in those is reported first.
  const selecting = selectProvider(spec, { environment, runId })
  void selecting.catch(() => {})
  const postgres = spec.postgres && Postgres.plan(spec.postgres, part)
  const redis = spec.redis && Redis.plan(spec.redis, part)
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
  /** What can be leased of a stack whose services are these. */
  readonly sourcesOf: (services: readonly ReadyService[]) => LeaseSources
  readonly onMoved: (facts: StackFacts) => void
}

/** One after the other, until one is for good: what comes then follows from it. */
async function tellOfLosses(stack: Stack, { broker, server, report, sourcesOf, onMoved }: Leasing): Promise<void> {
  for await (const { told, back } of stack.losses) {
    const coming = back?.then(sourcesOf)
    const comesBack = coming !== undefined
    if (comesBack) {
      broker.await(coming)
    }
    const { error, ...lost } = await told
    // Workers first: each of their tests that comes meanwhile fails without knowing why.
    server.tellLost(error, { comesBack })
    report({ type: 'service-lost', ...lost, message: error.message, comesBack })
    if (!comesBack) {
      return
    }
    try {
      onMoved((await coming).stack)
    } catch (failure) {
      if (failure instanceof InfraError && failure.code === 'INFRA_START_ABORTED') {
        // It is not awaited any more.
        return
      }
      server.tellLost(error, { comesBack: false })
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
  // What is left out of a run, or fails, might have connected.
  for (const service of isWhole ? unused : []) {
    const others = (['postgres', 'redis'] as const).filter((name) => spec[name] && !unused.includes(name))
    const variables = changed.filter((variable) => variable.service === service)
    report({ type: 'service-unused', service, others, isListed: spec.custom.length === 0, changed: variables })
  }
  if (sharing.length > 0) {
    report({ type: 'main-shared', projects: sharing })
  }
}

async function bringUp(spec: ResolvedSpec, parts: Parts, context: StartContext & { readonly signal: AbortSignal }) {
  const { variables, clock, report, onMoved } = context
  const { stack, provider, postgres, redis } = parts
  const services = await stack.start()
  const livesOn = context.livesOn || stack.livesOn
  // In the background: no test needs it. The next run tries again what cannot be removed now.
  void provider.sweep(context.signal).catch(() => {})
  const { LeaseBroker, noSource } = await import('../leasing/lease-broker.ts')
  const { LeaseServer: Server } = await import('../leasing/lease-server.ts')
  const statistics = new LeaseStatistics()
  const sourcesOf = (ready: readonly ReadyService[]) => ({
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
    livesOn,
  })
  const [server] = await Promise.all([Server.open(broker), broker.watchUse()])
  void tellOfLosses(stack, { broker, server, report, sourcesOf, onMoved: (facts) => onMoved?.(facts) })
  return {
    facts: sources.stack,
    services,
    livesOn,
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
    settle: async (letGo: AbortSignal) => {
      const [use] = await Promise.all([
        unlessLetGo(broker.findUse(), letGo),
        postgres?.settle(letGo),
        unlessLetGo(redis?.settle() ?? Promise.resolve(), letGo),
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
