// Imported for the types of the configureVitest hook.
import type {} from 'vitest/config'
import type { Vite, VitestPluginContext } from 'vitest/node'
import { entryFile } from './package-files.ts'
import type { InfraOptions } from './config/infra-options.ts'
import { PLUGIN_NAME } from './vitest/registry.ts'
import { addSetupFile } from './vitest/setup-file-path.ts'

export type { InfraFacts } from './environment/infra-facts.ts'
export type { InfraOptions } from './config/infra-options.ts'

const GLOBAL_SETUP = entryFile('global-setup')

/**
 * A Vitest plugin that provides real PostgreSQL and Redis. The servers start with the first test file. Their variables
 * are set before any of your modules is imported. The servers stop when Vitest exits.
 *
 * @param options override those of `infra.config.ts`
 * @example
 * export default defineConfig({ plugins: [infra()] })
 */
export function infra(options: InfraOptions = {}): Vite.Plugin {
  return {
    name: PLUGIN_NAME,
    // The global setup reads the options from here.
    api: options,
    // This is the only hook that Vitest calls for a root config whose projects do not inherit its plugins. Vitest
    // always runs the global setups of the root, which then serve those projects.
    config(config) {
      config.test = { ...config.test, globalSetup: withOwnFirst(config.test?.globalSetup) }
    },
    // config() alone is not enough: its result is lost for inline projects, and its setup files run after the user's.
    configureVitest({ project }: VitestPluginContext) {
      project.config.globalSetup = withOwnFirst(project.config.globalSetup)
      addSetupFile(project)
    },
  }
}

function withOwnFirst(globalSetup: string | string[] = []): string[] {
  return [GLOBAL_SETUP, ...[globalSetup].flat().filter((path) => path !== GLOBAL_SETUP)]
}
