import { infra } from 'vitest-infra/plugin'
import { defineConfig } from 'vitest/config'
import { SummaryReporter } from './tests/support/summary-reporter.ts'

/** Nothing in them depends on which Vitest it is, or on its pool. */
const ONE_VITEST = [
  'custom-services',
  'external',
  'failures',
  'kept-stacks',
  'killed',
  'quick-start',
  'secrets',
  'seeds',
  'snapshots',
].map((name) => `tests/e2e/${name}.test.ts`)

/** They wait for nothing. */
const QUICK_FAULTS = ['supervisor-requests', 'local-processes'].map((name) => `tests/faults/${name}.test.ts`)

const ON_CONSUMERS = { globalSetup: ['tests/e2e/consumers.ts'], testTimeout: 240_000, hookTimeout: 240_000 }

// `npm test` runs all projects but those whose names end in ":rest".
export default defineConfig({
  test: {
    reporters: ['default', new SummaryReporter()],
    projects: [
      {
        // Some start processes, which a busy machine takes its time for.
        test: { name: 'unit', include: ['tests/unit/**/*.test.ts'], testTimeout: 30_000 },
      },
      {
        // Real servers: this project is a user of the plugin like any other, but keeps no images in whatever engine it finds.
        plugins: [infra({ snapshot: false })],
        test: {
          name: 'integration',
          include: ['tests/integration/**/*.test.ts'],
          // A server is started in many of them, which a busy machine takes its time for.
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        // The same suite for every provider, each in its own file.
        test: { name: 'contract', include: ['tests/contract/*.test.ts'], testTimeout: 120_000 },
      },
      {
        // Runs consumer projects, through the real Vitest, on the packed package.
        test: { name: 'e2e', include: ['tests/e2e/*.test.ts'], ...ON_CONSUMERS },
      },
      {
        // The same with the older Vitest, and with the newest in the pools that are not its default.
        test: { name: 'e2e:rest', include: ['tests/e2e/*.test.ts'], exclude: ONE_VITEST, ...ON_CONSUMERS },
      },
      {
        // Ends runs, workers and servers where it hurts. `npm run faults` goes on with kills at random.
        test: { name: 'faults', include: QUICK_FAULTS, ...ON_CONSUMERS },
      },
      {
        test: {
          name: 'faults:rest',
          include: [process.env['FAULTS_ALONE'] ? 'tests/faults/alone/*.test.ts' : 'tests/faults/*.test.ts'],
          exclude: QUICK_FAULTS,
          ...ON_CONSUMERS,
        },
      },
      {
        // Whether the images and the engine of this machine do what this project relies on.
        test: { name: 'images:rest', include: ['tests/images/*.test.ts'], testTimeout: 120_000, hookTimeout: 120_000 },
      },
      {
        // Each folder of examples/, as its user runs it, on what `npm run build` has made.
        test: { name: 'examples', include: ['tests/examples/*.test.ts'], testTimeout: 240_000 },
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
