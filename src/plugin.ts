// Brings the types of the configureVitest hook.
import type {} from 'vitest/config'
import type { Vite, VitestPluginContext } from 'vitest/node'
import { entryFile } from './package-files.ts'
import type { InfraOptions } from './spec/infra-options.ts'
import { registry } from './vitest/registry.ts'
import { addSetupFile } from './vitest/setup-file-path.ts'

export type { InfraFacts } from './environment/infra-facts.ts'
export type { InfraOptions } from './spec/infra-options.ts'

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
  return {
    name: 'vitest-infra',
    // Not config(): what it adds is lost for inline projects, and comes after the user's setup files.
    configureVitest({ project }: VitestPluginContext) {
      const { config } = project
      const others = [config.globalSetup].flat().filter((path) => path !== GLOBAL_SETUP)
      config.globalSetup = [GLOBAL_SETUP, ...others]
      registry().options.set(project, options)
      addSetupFile(project)
    },
  }
}
