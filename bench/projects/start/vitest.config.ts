import { defineConfig } from 'vitest/config'

const { BENCH_INFRA, BENCH_GLOBAL_SETUP, BENCH_SETUP_FILE } = process.env

export default defineConfig({
  // Imported where it is used: the others should not pay for it.
  plugins: BENCH_INFRA ? [(await import('vitest-infra/plugin')).infra(JSON.parse(BENCH_INFRA))] : [],
  test: {
    globalSetup: BENCH_GLOBAL_SETUP ? [BENCH_GLOBAL_SETUP] : [],
    setupFiles: BENCH_SETUP_FILE ? [BENCH_SETUP_FILE] : [],
  },
})
