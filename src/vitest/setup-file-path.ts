import type { TestProject } from 'vitest/node'
import { entryFile } from '../package-files.ts'

const SETUP_FILE = entryFile('setup-file')

/**
 * Adds our setup file before the user's, so that the variables are set when the user's setup files import the
 * application. Repeated calls have no effect.
 */
export function addSetupFile({ config }: TestProject): void {
  if (config.browser?.enabled) {
    return
  }
  const { setupFiles } = config
  if (setupFiles.some((file) => file.startsWith(SETUP_FILE))) {
    return
  }
  // The file is inlined, as it would otherwise run once per worker instead of once per file. Only Vite's module runner
  // supports the query.
  const query = config.experimental?.viteModuleRunner === false ? '' : '?inline'
  // A new array is assigned, as copies of the project's config, such as the one for benchmarks, share the old one.
  config.setupFiles = [SETUP_FILE + query, ...setupFiles]
  config.sequence.setupFiles = 'list'
}
