// Brings the types of the configureVitest hook.
import type {} from 'vitest/config'
import type { Vite, VitestPluginContext } from 'vitest/node'
import { entryFile } from './package-files.ts'
import type { InfraOptions } from './config/infra-options.ts'
import { PLUGIN_NAME, registry } from './vitest/registry.ts'
import { addSetupFile } from './vitest/setup-file-path.ts'
import { asFirstRead, placeInConfig } from './vitest/written-options.ts'

export type { InfraFacts } from './environment/infra-facts.ts'
export type { InfraOptions } from './config/infra-options.ts'

const GLOBAL_SETUP = entryFile('global-setup')

/**
 * Gives every project that it is in real PostgreSQL and Redis: started with the first test file, in the environment
 * before anything of the user's is imported, and gone when Vitest ends.
 *
 * @param options win over those of `infra.config.ts`
 * @example
 * export default defineConfig({ plugins: [infra()] })
 */
export function infra(options: InfraOptions = {}): Vite.Plugin {
  const plugin: Vite.Plugin = {
    name: PLUGIN_NAME,
    api: options,
    // At the root of projects that do not inherit its plugins, this is the only hook that Vitest calls; and it always runs
    // the global setups of the root, by which those projects are served.
    config(config) {
      config.test = { ...config.test, globalSetup: withOwnFirst(config.test?.globalSetup) }
    },
    // Not config() alone: what that adds is lost for inline projects, and setup files come after those of the user.
    configureVitest({ project }: VitestPluginContext) {
      project.config.globalSetup = withOwnFirst(project.config.globalSetup)
      registry().options.set(project, asFirstRead(project, placeInConfig(plugin, project), options))
      addSetupFile(project)
    },
  }
  return plugin
}

function withOwnFirst(globalSetup: string | string[] = []): string[] {
  return [GLOBAL_SETUP, ...[globalSetup].flat().filter((path) => path !== GLOBAL_SETUP)]
}
