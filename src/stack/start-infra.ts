import { randomBytes } from 'node:crypto'
import type { StackFacts } from '../environment/infra-facts.ts'
import type { Clock } from '../internal/clock.ts'
import type { Provider } from '../providers/provider.ts'
import { selectProvider } from '../providers/select-provider.ts'
import type { Report } from '../report/events.ts'
import { findSeedFiles } from '../seeds/find-seed-files.ts'
import { loadRedisFiles } from '../seeds/load-redis-files.ts'
import { loadSqlFiles } from '../seeds/load-sql-files.ts'
import { definePostgres, ensureUserDatabase, withPostgres } from '../services/postgres.ts'
import { defineRedis, withRedis } from '../services/redis.ts'
import type { ServiceDefinition } from '../services/service.ts'
import type { ResolvedPostgres, ResolvedRedis, ResolvedSpec } from '../spec/resolve-spec.ts'
import { Stack, startAborted } from './stack.ts'
import { describeStack } from './stack-facts.ts'

export interface StartContext {
  /** The process's environment. */
  readonly environment: Record<string, string | undefined>
  readonly report: Report
  readonly clock: Clock
}

/** A stack on its way up. */
export interface StartingInfra {
  /** Resolves when every service is healthy and seeded; rejects with what kept it from that, nothing left behind. */
  readonly facts: Promise<StackFacts>
  /** Takes everything down, at whatever stage it is. */
  stop(): Promise<void>
}

/** Brings up what a spec asks for. */
export function startInfra(spec: ResolvedSpec, context: StartContext): StartingInfra {
  const abort = new AbortController()
  const opening = openStack(spec, context)
  return {
    facts: opening.then(async ({ stack, provider }) => {
      abort.signal.throwIfAborted()
      return describeStack(spec, provider.name, await stack.start())
    }),
    async stop() {
      abort.abort(startAborted())
      const opened = await opening.catch(() => undefined)
      await opened?.stack.stop()
    },
  }
}

/** Everything that can be wrong without a server is found here, before one is started. */
async function openStack(spec: ResolvedSpec, context: StartContext): Promise<{ stack: Stack; provider: Provider }> {
  const { environment, report, clock } = context
  const definitions = [
    ...(spec.postgres ? [await seededPostgres(spec.root, spec.postgres, context)] : []),
    ...(spec.redis ? [await seededRedis(spec.root, spec.redis, context)] : []),
  ]
  const runId = randomBytes(4).toString('hex')
  const provider = await selectProvider(spec, { environment, runId })
  report({ type: 'provider-selected', description: provider.description })
  const { startupTimeoutMs } = spec
  return { stack: new Stack({ provider, definitions, startupTimeoutMs, report, clock }), provider }
}

async function seededPostgres(root: string, spec: ResolvedPostgres, context: StartContext): Promise<ServiceDefinition> {
  const { user, password, database, migrations, seeds } = spec
  const files = await findSeedFiles('postgres', { root, migrations, seeds })
  return {
    ...definePostgres(spec),
    async prepare(address) {
      const place = { ...address, user, password, database }
      await ensureUserDatabase(place)
      await loadTimed('postgres', files, context, () =>
        withPostgres(place, (client) => loadSqlFiles(client, files, root)),
      )
    },
  }
}

async function seededRedis(root: string, spec: ResolvedRedis, context: StartContext): Promise<ServiceDefinition> {
  const files = await findSeedFiles('redis', { root, seeds: spec.seeds })
  return {
    ...defineRedis(spec),
    prepare: (address) =>
      loadTimed('redis', files, context, () => withRedis(address, (client) => loadRedisFiles(client, files, root))),
  }
}

async function loadTimed(
  service: string,
  files: readonly string[],
  { report, clock }: StartContext,
  load: () => Promise<void>,
): Promise<void> {
  if (files.length === 0) {
    return
  }
  const beginMs = clock.now()
  await load()
  report({ type: 'seeds-loaded', service, files: files.length, elapsedMs: clock.now() - beginMs })
}
