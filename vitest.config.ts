import { infra } from 'vitest-infra/plugin'
import { defineConfig } from 'vitest/config'
import { SummaryReporter } from './tests/support/summary-reporter.ts'

/** Tests that run consumer projects, through the real Vitest, on the packed package. */
const consumers = { globalSetup: ['tests/e2e/consumers.ts'], testTimeout: 120_000, hookTimeout: 120_000 }

export default defineConfig({
  test: {
    reporters: ['default', new SummaryReporter()],
    projects: [
      { test: { name: 'unit', include: ['tests/unit/**/*.test.ts'] } },
      {
        // Real servers: this project is a user of the plugin like any other.
        plugins: [infra()],
        test: { name: 'integration', include: ['tests/integration/**/*.test.ts'] },
      },
      {
        test: {
          ...consumers,
          name: 'e2e',
          include: ['tests/e2e/*.test.ts'],
          exclude: ['tests/e2e/isolation*.test.ts'],
        },
      },
      {
        // Proofs of isolation in every pool, half an hour on a busy machine: npm test leaves them out.
        test: { ...consumers, name: 'proofs', include: ['tests/e2e/isolation*.test.ts'] },
      },
      {
        test: {
          name: 'types',
          include: [],
          typecheck: {
            enabled: true,
            only: true,
            include: ['tests/types/**/*.test-d.ts'],
            tsconfig: 'tests/types/tsconfig.json',
          },
        },
      },
    ],
  },
})
