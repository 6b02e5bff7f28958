import type { TestProject, Vitest } from 'vitest/node'
import { InfraError, messageOf } from './errors.ts'
import { systemClock } from './internal/clock.ts'
import { cleanUpBeforeExit } from './internal/clean-up-before-exit.ts'
import { readProject } from './read-project.ts'
import type { Report } from './report/events.ts'
import { createReporter } from './report/reporter.ts'
import { RunReport } from './report/run-report.ts'
import type { InfraOptions } from './spec/infra-options.ts'
import { type ResolvedSpec, servicesOf } from './spec/resolve-spec.ts'
import type { UpInfra } from './stack/start-infra.ts'
import { describeEnvironment } from './stack/stack-facts.ts'
import type { LeaseAccess } from './isolation/lease-protocol.ts'
import { tellAroundRunEnd } from './vitest/around-run-end.ts'
import { describeStackAtRest, isListing } from './vitest/at-rest.ts'
import { InfraRun, type ProjectVariables } from './vitest/infra-run.ts'
import { keepsModules } from './vitest/keeps-modules.ts'
import { registry } from './vitest/registry.ts'
import { runsAll } from './vitest/runs-all.ts'
import { addSetupFile } from './vitest/setup-file-path.ts'
import { workerCount } from './vitest/worker-count.ts'
import { workersEnded } from './vitest/workers-ended.ts'

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
  return (project) => setUp(project, options).catch(throwPlainly)
}

/** `globalSetup: ['vitest-infra/global-setup']`: the same as the plugin, configured by `infra.config.ts`. */
export default createGlobalSetup()

/** What is raised on purpose says all in its message; frames of this package would only stand in its way. */
function throwPlainly(error: unknown): never {
  if (error instanceof InfraError) {
    error.stack = `${error.name}: ${error.message}`
  }
  throw error
}

async function setUp(project: TestProject, options: InfraOptions): Promise<void> {
  const { vitest, config } = project
  const spec = await readProject({
    directory: config.root,
    defaultRoot: vitest.config.root,
    options: registry().options.get(project) ?? options,
    environment: process.env,
  })
  if (isListing(process.argv) || servicesOf(spec).length === 0) {
    serveAtRest(project, spec)
    return
  }
  const run = ensureRun(vitest, spec)
  const { facts, socket } = await run.up(spec)
  run.environment.apply(describeEnvironment(spec, facts))
  for (const served of projectsServedBy(project)) {
    const variables = variablesOf(served, spec)
    run.serve(served.name, variables)
    served.provide('infra', { ...facts, env: variables(facts) })
    served.provide('infra:lease', leaseAccessOf(served, spec, socket))
    addSetupFile(served)
  }
}

/** A global setup of the root config serves all projects, but those that have the plugin are served for themselves. */
function projectsServedBy(project: TestProject): readonly TestProject[] {
  const others = project.vitest.projects.filter((other) => other !== project && !registry().options.has(other))
  return project.isRootProject() ? [project, ...others] : [project]
}

function serveAtRest(project: TestProject, spec: ResolvedSpec): void {
  const facts = describeStackAtRest(spec)
  for (const served of projectsServedBy(project)) {
    served.provide('infra', { ...facts, env: variablesOf(served, spec)(facts) })
    addSetupFile(served)
  }
}

/** What the user's `test.env` says stays the last word. */
function variablesOf({ config, vitest }: TestProject, spec: ResolvedSpec): ProjectVariables {
  return (facts) => ({ ...describeEnvironment(spec, facts), ...definedOnly({ ...vitest.config.env, ...config.env }) })
}

function definedOnly(variables: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(variables).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
}

function leaseAccessOf(project: TestProject, spec: ResolvedSpec, socket: string): LeaseAccess {
  const services = [spec.postgres && 'postgres', spec.redis && 'redis'] as const
  return {
    socket,
    project: project.name,
    lifetime: keepsModules(project) ? 'worker' : 'file',
    wants: spec.isolation === 'shared' ? [] : services.filter((service) => service !== undefined),
    template: spec.template,
    reuse: spec.isolation === 'worker',
  }
}

/** In watch mode an edited migration or seed reruns the tests, on templates that were made anew. */
function watchTemplates(vitest: Vitest, run: InfraRun, up: UpInfra): void {
  if (!vitest.config.watch) {
    return
  }
  vitest.config.forceRerunTriggers.push(...up.templateFiles.flatMap((path) => [path, `${path}/**`]))
  vitest.vite.watcher.add([...up.templateFiles])
  // Handlers outlive a restart of Vitest, and with it their run.
  vitest.onTestsRerun(async () => {
    if (!run.closed) {
      up.beginRerun()
      await up.refresh()
    }
  })
}

/** What was held back is told at the end of a run, as far as the end of Vitest is not the better place. */
function tellOfRuns(vitest: Vitest, gathered: RunReport, up: UpInfra): void {
  tellAroundRunEnd(vitest, {
    before: (modules, isPassed) => {
      up.endTests({ isWhole: isPassed && runsAll(vitest, modules) })
      gathered.tellLogs()
    },
    after: () => {
      if (up.livesOn) {
        up.kept().forEach((kept) => gathered.report({ type: 'database-kept', ...kept }))
        gathered.tellNotices()
      }
    },
  })
}

/** One stack per Vitest, taken down after its workers have ended. */
function ensureRun(vitest: Vitest, spec: ResolvedSpec): InfraRun {
  const { runs } = registry()
  const current = runs.get(vitest)
  if (current && !current.closed) {
    return current
  }
  const isShort = Boolean(vitest.config.silent) || Boolean(process.env['CI'])
  const gathered = new RunReport({ report: createReporter(process.stderr), isShort })
  const report: Report = (event) => {
    gathered.report(event)
    if (event.type === 'service-lost' && !event.comesBack) {
      // Also where no test was left to fail.
      process.exitCode = 1
    }
  }
  const run = new InfraRun(spec, {
    environment: process.env,
    workers: workerCount(vitest),
    livesOn: vitest.config.watch,
    onMoved: (facts) => run.environment.apply(describeEnvironment(spec, facts)),
    report,
    clock: systemClock,
  })
  runs.set(vitest, run)
  const onUp = (up: UpInfra) => {
    watchTemplates(vitest, run, up)
    tellOfRuns(vitest, gathered, up)
  }
  void run.up(spec).then(onUp, () => {})
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= run
      .close()
      .finally(() => gathered.close())
      .catch((error: unknown) => {
        report({ type: 'stop-failed', message: messageOf(error) })
        process.exitCode = 1
      })
    return closing
  }
  const release = cleanUpBeforeExit(process, close)
  vitest.onClose(async () => {
    await workersEnded(vitest, systemClock)
    await (closing ? undefined : run.settle())
    await close()
    release()
  })
  return run
}
