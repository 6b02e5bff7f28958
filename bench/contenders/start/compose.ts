import { findFreePort } from '../../support/ports.ts'
import type { StartVariant } from './variant.ts'

export const compose: StartVariant = {
  name: 'docker compose up --wait',
  env: { BENCH_GLOBAL_SETUP: 'setups/compose.ts' },
  freshEnv: async () => ({
    POSTGRES_PORT: String(await findFreePort()),
    REDIS_PORT: String(await findFreePort()),
  }),
}
