import type { StartVariant } from './variant.ts'

/** The time of Vitest itself. */
export const plain: StartVariant = { name: 'Vitest without services', env: { BENCH_TABLES: '0' } }
