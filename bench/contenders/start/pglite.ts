import type { StartVariant } from './variant.ts'

export const pglite: StartVariant = {
  name: 'PGlite in the test process, without Redis',
  env: { BENCH_SETUP_FILE: 'setups/pglite.ts' },
}
