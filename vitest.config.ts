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
].map(inE2e)

/** They start servers, or whole runs, by the dozen, or wait for servers to exit. */
const SLOW = [
  'command-line/clients',
  'command-line/compose',
  'command-line/env',
  'command-line/run',
  'command-line/status',
  'compose',
  'databases/edited-templates',
  'embedded/accounts',
  'embedded/kept-data',
  'embedded/killed',
  'external/many-runs',
  'external/postgres-guards',
  'image-entrypoint',
  'kept-stacks',
  'lease-limit',
  'lifeline',
  'migrations/extensions',
  'migrations/tools',
  'postgres-admin',
  'reset/reset-alterations',
  'reset/reset-database',
  'reset/reset-schema',
  'servers/postgres-servers',
  'servers/redis-clients-left',
  'servers/redis-servers',
  'servers/services',
  'snapshots',
].map((name) => `tests/integration/${name}.test.ts`)

/** A few of them, since each starts several Vitests: how a run starts, isolates and fails. */
const QUICK = ['custom-services', 'failures', 'isolation-fixtures', 'quick-start'].map(inE2e)

const QUICK_FAULTS = ['supervisor-requests', 'local-processes'].map((name) => `tests/faults/${name}.test.ts`)

const ON_SERVERS = { testTimeout: 120_000, hookTimeout: 120_000 }
const ON_CONSUMERS = { globalSetup: ['tests/e2e/consumers.ts'], testTimeout: 240_000, hookTimeout: 240_000 }

// `npm test` leaves out the projects with a colon in their names, which `npm run test:all` runs too. `npm run test:slow` runs
// those in ":slow".
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
          exclude: SLOW,
          ...ON_SERVERS,
        },
      },
      {
        plugins: [infra({ snapshot: false })],
        // Not in parallel with other projects: one of its tests removes the snapshots of all projects from the engine.
        test: { name: 'integration:slow', include: SLOW, sequence: { groupOrder: 1 }, ...ON_SERVERS },
      },
      {
        // The same suite for every provider, each in its own file.
        test: { name: 'contract', include: ['tests/contract/*.test.ts'], ...ON_SERVERS },
      },
      {
        // Runs consumer projects, through the real Vitest, on the packed package.
        test: { name: 'e2e', include: QUICK, ...ON_CONSUMERS },
      },
      {
        test: { name: 'e2e:slow', include: ['tests/e2e/*.test.ts'], exclude: QUICK, ...ON_CONSUMERS },
      },
      {
        // The same with the older Vitest, and with the newest in the pools that are not its default.
        test: { name: 'e2e:matrix', include: ['tests/e2e/*.test.ts'], exclude: ONE_VITEST, ...ON_CONSUMERS },
      },
      {
        // Ends runs, workers and servers where it hurts. `npm run faults` goes on with kills at random.
        test: { name: 'faults', include: QUICK_FAULTS, ...ON_CONSUMERS },
      },
      {
        test: {
          name: 'faults:slow',
          // One at a time: some of them load the machine as much as they can.
          fileParallelism: false,
          sequence: { groupOrder: 2 },
          include: [process.env['FAULTS_ALONE'] ? 'tests/faults/alone/*.test.ts' : 'tests/faults/*.test.ts'],
          exclude: QUICK_FAULTS,
          ...ON_CONSUMERS,
        },
      },
      {
        // Whether the images and the engine of this machine do what this project relies on.
        test: { name: 'images:all', include: ['tests/images/*.test.ts'], ...ON_SERVERS },
      },
      {
        // Each folder of examples/, as its user runs it, on what `npm run build` has made.
        test: { name: 'examples', include: ['tests/examples/examples.test.ts'], testTimeout: 240_000 },
      },
      {
        test: { name: 'examples:slow', include: ['tests/examples/local-processes.test.ts'], testTimeout: 240_000 },
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

function inE2e(name: string): string {
  return `tests/e2e/${name}.test.ts`
}
