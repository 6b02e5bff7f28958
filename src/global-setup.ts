import type { TestProject, Vitest } from 'vitest/node'
import { messageOf } from './errors.ts'
import { systemClock } from './internal/clock.ts'
import { cleanUpOnSignal } from './internal/exit-on-signal.ts'
import { readProject } from './read-project.ts'
import { createReporter } from './report/reporter.ts'
import type { InfraOptions } from './spec/infra-options.ts'
import type { ResolvedSpec } from './spec/resolve-spec.ts'
import { describeEnvironment } from './stack/stack-facts.ts'
import { InfraRun } from './vitest/infra-run.ts'
import { registry } from './vitest/registry.ts'
import { addSetupFile } from './vitest/setup-file-path.ts'

export type { InfraFacts } from './environment/infra-facts.ts'
export type { InfraOptions } from './spec/infra-options.ts'

/**
 * A global setup with options, for who prefers a file of their own to the plugin. It must stand first in `globalSetup`.
 *
 * @example
 * // test/global-setup.ts
 * export default createGlobalSetup({ postgres: { database: 'shop' } })
 */
export function createGlobalSetup(options: InfraOptions = {}): (project: TestProject) => Promise<void> {
  return async (project) => {
    const { vitest, config } = project
    const spec = await readProject({
      directory: config.root,
      defaultRoot: vitest.config.root,
      options: registry().options.get(project) ?? options,
      environment: process.env,
    })
    const run = ensureRun(vitest, spec)
    const facts = await run.facts(spec)
    const variables = describeEnvironment(spec, facts)
    run.environment.apply(variables)
    for (const served of projectsServedBy(project)) {
      // What the user's test.env says stays the last word.
      const env = { ...variables, ...vitest.config.env, ...served.config.env } as Record<string, string>
      served.provide('infra', { ...facts, env })
      addSetupFile(served)
    }
  }
}

/** `globalSetup: ['vitest-infra/global-setup']`: the same as the plugin, configured by `infra.config.ts`. */
export default createGlobalSetup()

/** A global setup of the root config serves all projects, but those that have the plugin are served for themselves. */
function projectsServedBy(project: TestProject): readonly TestProject[] {
  const others = project.vitest.projects.filter((other) => other !== project && !registry().options.has(other))
  return project.isRootProject() ? [project, ...others] : [project]
}

/** One stack per Vitest, taken down after its workers have ended. */
function ensureRun(vitest: Vitest, spec: ResolvedSpec): InfraRun {
  const { runs } = registry()
  const current = runs.get(vitest)
  if (current && !current.closed) {
    return current
  }
  const report = createReporter(process.stderr)
  const run = new InfraRun(spec, { environment: process.env, report, clock: systemClock })
  runs.set(vitest, run)
  const close = async () => {
    await run.close().catch((error: unknown) => {
      report({ type: 'stop-failed', message: messageOf(error) })
      process.exitCode = 1
    })
  }
  const release = cleanUpOnSignal(process, close)
  vitest.onClose(async () => {
    await close()
    release()
  })
  return run
}
