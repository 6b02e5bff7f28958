import type { StartVariant } from './variant.ts'

/** The usual hand-written setup: the baseline of the comparison. */
export const parallel: StartVariant = {
  name: 'Testcontainers by hand, in parallel',
  env: { BENCH_GLOBAL_SETUP: 'setups/testcontainers-parallel.ts' },
}

export const sequential: StartVariant = {
  name: 'Testcontainers by hand, one after the other',
  env: { BENCH_GLOBAL_SETUP: 'setups/testcontainers-sequential.ts' },
}

/** Its containers stay after the uncounted first run; the benchmark removes them at its end. */
export const reuse: StartVariant = {
  name: 'Testcontainers by hand, reused',
  env: { BENCH_GLOBAL_SETUP: 'setups/testcontainers-reuse.ts', TESTCONTAINERS_REUSE_ENABLE: 'true' },
}
