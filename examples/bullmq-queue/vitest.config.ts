import { infra } from 'vitest-infra/plugin'
import { defineConfig } from 'vitest/config'

export default defineConfig({ plugins: [infra({ services: ['redis'] })] })
