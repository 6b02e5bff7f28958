import { removeRunningServices } from '../../../src/providers/docker/reuse/running-services.ts'
import type { InfraOptions } from '../../../src/config/infra-options.ts'
import { removeSnapshots } from '../../support/engine.ts'
import type { StartVariant } from './variant.ts'

export const cold = infra('vitest-infra, cold')
export const coldWithoutRedis = infra('vitest-infra, cold, without Redis', { services: ['postgres'] })

/** The run that is not counted leaves it. */
export const fromSnapshot = infra(
  'vitest-infra, cold, from a snapshot',
  { snapshot: true },
  { cleanup: (_session, folder) => removeSnapshots(folder) },
)

/** The run that is not counted leaves its servers up. */
export const leftUp = infra(
  'vitest-infra, left up by the run before',
  {},
  {
    env: { VITEST_INFRA_KEEP_ALIVE: '10m' },
    cleanup: async (_session, folder) => void (await removeRunningServices(process.env, folder)),
  },
)

/** A variant of vitest-infra: an additional option and its preparation. */
function infra(name: string, options: InfraOptions = {}, preparation: Partial<StartVariant> = {}): StartVariant {
  const common: InfraOptions = { postgres: { migrations: 'db/migrations', seeds: [] } }
  return { name, ...preparation, env: { BENCH_INFRA: JSON.stringify({ ...common, ...options }), ...preparation.env } }
}
