import { randomBytes } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { type Clock, systemClock } from '../../../src/internal/clock.ts'
import type { InfraEvent } from '../../../src/report/events.ts'
import { PostgresAdmin } from '../../../src/services/postgres-admin.ts'
import { RedisClaims } from '../../../src/external/redis-claims.ts'
import { MarkedDatabases } from '../../../src/external/marked-databases.ts'
import { RunClaim } from '../../../src/external/run-claim.ts'
import type { InfraOptions } from '../../../src/config/infra-options.ts'
import { resolveSpec } from '../../../src/config/resolve-spec.ts'
import { startInfra } from '../../../src/stack/start-infra.ts'
import type { SomebodysServers } from '../../support/somebodys-servers.ts'

/** A run on external servers, stopped after the test. */
export function startExternal(
  servers: SomebodysServers,
  options: InfraOptions = {},
  { root = import.meta.dirname, clock = systemClock }: Partial<{ root: string; clock: Clock }> = {},
) {
  const given = { external: servers.external, ...options, provider: 'external' }
  const spec = resolveSpec(given, { root, source: 'the test', environment: { process: {} } })
  const events: InfraEvent[] = []
  const report = (event: InfraEvent) => void events.push(event)
  const infra = startInfra(spec, {
    environment: {},
    workers: 1,
    variables: () => ({}),
    report,
    clock,
  })
  infra.up.catch(() => {})
  onTestFinished(() => infra.stop().catch(() => {}))
  return { ...infra, events }
}

/** A run's claim on a server, without the run. */
export async function claimRun(
  { postgres }: Pick<SomebodysServers, 'postgres'>,
  connections = 6,
  database = 'postgres',
) {
  const runId = randomBytes(4).toString('hex')
  const place = { ...postgres, database }
  const admin = await PostgresAdmin.open(postgres, { isShared: true })
  const claim = await RunClaim.hold(place, { runId, connections, clock: systemClock })
  let isOver = false
  const end = async () => {
    if (!isOver) {
      isOver = true
      await admin.close()
      await claim.close()
    }
  }
  onTestFinished(end)
  return { runId, admin, claim, marked: new MarkedDatabases(claim), end }
}

/** The claims of a run on Redis; they are let go when the test has finished. */
export async function claimRedis({ redis }: SomebodysServers) {
  const runId = randomBytes(4).toString('hex')
  const claims = await RedisClaims.open(redis, { runId, clock: systemClock })
  onTestFinished(() => claims.close())
  return claims
}
