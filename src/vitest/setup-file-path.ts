import type { TestProject } from 'vitest/node'
import { entryFile } from '../package-files.ts'

const SETUP_FILE = entryFile('setup-file')

/**
 * Adds our setup file before the user's, so that the variables are set when those import the application. Repeated
 * calls have no effect.
 */
export function addSetupFile({ config }: TestProject): void {
  if (config.browser?.enabled) {
    return
  }
  const { setupFiles } = config
  if (setupFiles.some((file) => file.startsWith(SETUP_FILE))) {
    return
  }
  // Inlined: otherwise it runs once per worker instead of once per file. Only Vite's module runner supports the query.
  const query = config.experimental?.viteModuleRunner === false ? '' : '?inline'
  // A new array, as copies of a project's config, such as the one for benchmarks, share the old one.
  config.setupFiles = [SETUP_FILE + query, ...setupFiles]
  config.sequence.setupFiles = 'list'
}
