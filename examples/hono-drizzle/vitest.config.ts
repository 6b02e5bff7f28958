import { drizzle } from 'vitest-infra/migrations'
import { infra } from 'vitest-infra/plugin'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [infra({ services: ['postgres'], postgres: { migrations: drizzle({ folder: 'drizzle' }) } })],
})
