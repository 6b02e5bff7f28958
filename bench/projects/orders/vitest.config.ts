import { infra } from 'vitest-infra/plugin'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [infra({ services: ['postgres'], isolation: process.env.BENCH === 'shared' ? 'shared' : 'file' })],
  test: {
    globalSetup: ['src/warm-up.ts'],
    maxWorkers: Number(process.env.BENCH_WORKERS ?? 2),
    reporters: ['default', './src/span-reporter.ts'],
  },
})
