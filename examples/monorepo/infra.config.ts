import { defineInfra } from 'vitest-infra'

// One schema for all packages, and for each package the data that its tests begin with.
export default defineInfra({
  services: ['postgres'],
  postgres: { migrations: 'db/migrations', seeds: [] },
  templates: {
    shop: { seeds: 'db/shop' },
  },
})
