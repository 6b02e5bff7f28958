import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ReadProjectOptions } from '../../../src/read-project.ts'
import type { ResolvedSpec } from '../../../src/config/resolve-spec.ts'

const CHILD = fileURLToPath(new URL('./read-project-child.ts', import.meta.url))

/** The outcome of `readProject()`, as plain data. */
export interface ProjectOutcome {
  readonly spec?: ResolvedSpec
  readonly error?: {
    readonly isInfraError: boolean
    readonly code: string
    readonly message: string
    /** The name of the error's cause. */
    readonly cause: string | undefined
  }
}

/** Calls `readProject()` in a separate process. */
export interface ProjectReader {
  read(options: Partial<ReadProjectOptions> & Pick<ReadProjectOptions, 'directory'>): Promise<ProjectOutcome>
  close(): void
}

/**
 * In a test's own process Vite would load `infra.config.*`, and Vite takes TypeScript that Node does not. The start of
 * another is waited for here, so that it takes no test's time.
 */
export async function openProjectReader(): Promise<ProjectReader> {
  const home = mkdtempSync(join(tmpdir(), 'vitest-infra-home-'))
  const env = { ...process.env, HOME: home, USERPROFILE: home }
  const child = fork(CHILD, { execArgv: ['--no-warnings'], env })
  await once(child, 'message')
  return {
    async read(options) {
      child.send({ options: {}, environment: {}, ...options })
      const [outcome] = (await once(child, 'message')) as [ProjectOutcome]
      return outcome
    },
    close() {
      child.disconnect()
      rmSync(home, { recursive: true })
    },
  }
}
