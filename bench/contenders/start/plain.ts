import type { StartVariant } from './variant.ts'

/** What Vitest itself takes. */
export const plain: StartVariant = { name: 'Vitest without services', env: { BENCH_TABLES: '0' } }
