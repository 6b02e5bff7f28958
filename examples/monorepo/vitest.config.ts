import { infra } from 'vitest-infra/plugin'
import { defineConfig } from 'vitest/config'

// Both projects run on one PostgreSQL.
export default defineConfig({
  test: {
    projects: [
      { plugins: [infra()], test: { name: 'accounts', root: 'packages/accounts' } },
      { plugins: [infra({ template: 'shop' })], test: { name: 'shop', root: 'packages/shop' } },
    ],
  },
})
