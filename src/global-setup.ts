import type { Reporter, TestProject, Vitest } from 'vitest/node'
import type { StackFacts } from './environment/infra-facts.ts'
import { InfraError, messageOf, plainError } from './errors.ts'
import { systemClock } from './internal/clock.ts'
import { withAbandonTimeout } from './internal/time-limit.ts'
import { guardEnd } from './internal/guard-end.ts'
import { cleanUpBeforeExit } from './internal/clean-up-before-exit.ts'
import { projectFiles, readProject } from './read-project.ts'
import type { Report } from './report/events.ts'
import { createReporter } from './report/reporter.ts'
import { RunReport } from './report/run-report.ts'
import type { InfraOptions } from './config/infra-options.ts'
import { type ResolvedSpec, servicesOf } from './config/resolve-spec.ts'
import type { UpInfra } from './stack/start-infra.ts'
import { describeEnvironment } from './stack/stack-facts.ts'
import type { Failure } from './internal/requests.ts'
import type { LeaseAccess } from './leasing/lease-client.ts'
import { onRunEnd } from './vitest/around-run-end.ts'
import { describeUnstartedStack, isListMode } from './vitest/list-mode.ts'
import { InfraRun, type ProjectVariables } from './vitest/infra-run.ts'
import { repeatGlobalSetups, wasSetUp } from './vitest/global-setups.ts'
import { keepsModules } from './vitest/keeps-modules.ts'
import { registry } from './vitest/registry.ts'
import { runsAll } from './vitest/runs-all.ts'
import { addSetupFile } from './vitest/setup-file-path.ts'
import { settleTestEnv } from './vitest/test-env.ts'
import { redisFiles, templateFiles, watchFiles } from './vitest/watched-files.ts'
import { workerCount } from './vitest/worker-count.ts'
import { workersEnded } from './vitest/workers-ended.ts'
import { canonicalOptions, hasPlugin, placeOfCall, pluginOptions } from './vitest/plugin-options.ts'

export type { InfraFacts } from './environment/infra-facts.ts'
export type { InfraOptions } from './config/infra-options.ts'

/**
 * Creates a global setup with options, for your own file instead of the plugin. It must be the first one in
 * `globalSetup`.
 *
 * @example
 * // test/global-setup.ts
 * export default createGlobalSetup({ postgres: { database: 'shop' } })
 */
export function createGlobalSetup(options: InfraOptions = {}): (project: TestProject) => Promise<void> {
  const place = placeOfCall(createGlobalSetup)
  return (project) => setUp(project, canonicalOptions(project, place, options))
}

/**
 * Share of `teardownTimeout` that the end of a run may use. If it took the whole, Vitest would report "close timed
 * out".
 */
const CLOSE_SHARE = 0.75

/**
 * The default global setup, for `globalSetup: ['vitest-infra/global-setup']`. It works like the plugin and is
 * configured by `infra.config.ts`.
 */
export default createGlobalSetup()

/** Throws an error for the user. An InfraError has no stack frames, which would distract from its message. */
function throwForUser(error: unknown): never {
  if (error instanceof InfraError) {
    error.stack = `${error.name}: ${error.message}`
    throw error
  }
  throw plainError(error)
}

async function setUp(project: TestProject, options: InfraOptions): Promise<void> {
  const served = projectsServedBy(project)
  if (served.length === 0) {
    return
  }
  if (served.some((other) => hasTests(other) && wasSetUp(other))) {
    await serve(project, { served, options })
    return
  }
  // Files of a served project may be part of a later run, before which Vitest does not set up the root again.
  const { reporters } = project.vitest as unknown as { readonly reporters: Reporter[] }
  const reporter: Reporter = {
    async onTestRunStart(specifications) {
      if (specifications.some((specification) => served.includes(specification.project))) {
        reporters.splice(reporters.indexOf(reporter), 1)
        await serve(project, { served, options })
      }
    },
  }
  reporters.push(reporter)
}

/** A global setup of the root config serves all projects except those with the plugin, which are served separately. */
function projectsServedBy(project: TestProject): readonly TestProject[] {
  if (!project.isRootProject()) {
    return [project]
  }
  const others = project.vitest.projects.filter((other) => other !== project && !hasPlugin(other))
  return hasTests(project) || others.length > 0 ? [project, ...others] : []
}

/** Whether a project has tests; the root project only has them if it is the only project. */
function hasTests(project: TestProject): boolean {
  return project.vitest.projects.includes(project)
}

interface VariablesContext {
  readonly spec: ResolvedSpec
  readonly facts: StackFacts
  /** Values that this run has replaced in this process's environment. */
  readonly before: Readonly<Record<string, string | undefined>>
  readonly print: (line: string) => void
}

interface Serving {
  readonly served: readonly TestProject[]
  /** Used if the global setup was not added by the plugin. */
  readonly options: InfraOptions
}

async function serve(project: TestProject, { served, options }: Serving): Promise<void> {
  const { vitest, config } = project
  const place = { directory: config.root, defaultRoot: vitest.config.root }
  const whileFailing = [watchFiles(vitest, projectFiles(place))]
  try {
    const reading = guardEnd(process, () => reportEarlyEnd(createReporter(process.stderr), 'infra.config to load'))
    const spec = await readProject({
      ...place,
      options: pluginOptions(project) ?? options,
      environment: process.env,
    }).finally(reading)
    if (servicesOf(spec).length === 0 || (await isListMode(process.argv))) {
      serveUnstarted(served, spec)
    } else {
      watchFiles(vitest, [...templateFiles(spec), ...redisFiles(spec)])
      await serveFromStack(project, { served, spec })
    }
    provideFailure(served, undefined)
    whileFailing.forEach((unwatch) => unwatch())
  } catch (error) {
    // Vitest sets up a project only once, even after a failure.
    repeatGlobalSetups(project)
    if (!vitest.config.watch) {
      // Vitest itself would exit with 0 with --dangerouslyIgnoreUnhandledErrors or --passWithNoTests.
      process.exitCode = 1
      throwForUser(error)
    }
    // In watch mode the tests fail instead of the setup. After a failed setup, Vitest would exit at the next rerun, and
    // after a failed first one, it would know no files to rerun.
    provideFailure(served, error)
  }
}

function provideFailure(projects: readonly TestProject[], error: unknown): void {
  for (const project of projects) {
    project.provide('infra:failure', error === undefined ? undefined : describeFailure(error))
    if (error !== undefined) {
      addSetupFile(project)
    }
  }
}

function describeFailure(error: unknown): Failure {
  const { message, code } =
    error instanceof InfraError
      ? error
      : new InfraError('INFRA_SERVICE_START', {
          problem: `Cannot start the stack: ${messageOf(error)}`,
          remedy: 'Correct this error; the next run starts the stack again',
        })
  return { message, code }
}

async function serveFromStack(
  project: TestProject,
  { served, spec }: { served: readonly TestProject[]; spec: ResolvedSpec },
): Promise<void> {
  const { vitest } = project
  const run = await ensureRun(project, spec)
  const { facts, socket } = await run.up(spec)
  run.environment.apply(describeEnvironment(spec, facts))
  for (const other of served) {
    registry().served.add(other)
    const variables = variablesOf(other, { spec, facts, before: run.environment.before(), print: run.print })
    run.serve(other.name, variables)
    other.provide('infra', { ...facts, env: variables(facts) })
    other.provide('infra:lease', leaseAccessOf(other, spec, socket))
    addSetupFile(other)
  }
  const early = served.filter((other) => other !== project && [other.config.globalSetup].flat().length > 0)
  early.forEach(({ name }) =>
    run.print(
      `project "${name}" has its own global setup, which runs before that of the root: add infra() to its plugins, so that the variables are set there`,
    ),
  )
  removeVariablesFromOthers(vitest, run)
}

/** Removes the variables from projects without services, whose workers inherit this process's environment. */
function removeVariablesFromOthers({ projects, config }: Vitest, { environment }: InfraRun): void {
  for (const project of projects.filter((other) => !registry().served.has(other))) {
    const ownNames = Object.keys({ ...config.env, ...project.config.env })
    const before = Object.entries(environment.before()).filter(([name]) => !ownNames.includes(name))
    project.provide('infra:before', Object.fromEntries(before))
    addSetupFile(project)
  }
}

function serveUnstarted(served: readonly TestProject[], spec: ResolvedSpec): void {
  const facts = describeUnstartedStack(spec)
  for (const project of served) {
    const variables = variablesOf(project, { spec, facts, before: {}, print: () => {} })
    project.provide('infra', { ...facts, env: variables(facts) })
    // Overrides the root project's value, which Vitest passes down.
    project.provide('infra:lease', undefined)
    addSetupFile(project)
  }
}

/** Returns the variables of a lease, merged with the user's `test.env`; conflicts are reported once. */
function variablesOf(project: TestProject, { spec, facts, before, print }: VariablesContext): ProjectVariables {
  const { config, vitest, vite } = project
  const { kept, lines } = settleTestEnv(
    { ...vitest.config.env, ...config.env },
    {
      leased: describeEnvironment(spec, facts),
      inherited: { ...process.env, ...before },
      folders: [
        ...new Set([spec.root, config.root, vitest.config.root, process.cwd(), vite.config.envDir || spec.root]),
      ],
    },
  )
  lines.forEach(print)
  return (given) => ({ ...describeEnvironment(spec, given), ...kept })
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

/** In watch mode, rebuilds templates whose files have changed before a rerun. */
function refreshTemplates(vitest: Vitest, run: InfraRun, up: UpInfra): void {
  if (!vitest.config.watch) {
    return
  }
  // Vitest keeps its handlers when it restarts, but the restart closes this run.
  vitest.onTestsRerun(async () => {
    if (!run.closed) {
      up.beginRerun()
      const served = vitest.projects.filter((project) => registry().served.has(project))
      // A rejection here would end Vitest.
      await up.refresh().then(
        () => provideFailure(served, undefined),
        (error: unknown) => provideFailure(served, error),
      )
    }
  })
}

/** Reports the remaining events at the end of each run. If there is only one run, the end of Vitest reports them. */
function reportRuns(vitest: Vitest, gathered: RunReport, up: UpInfra): void {
  onRunEnd(vitest, {
    before: (modules, isPassed) => {
      up.endTests({ isWhole: isPassed && runsAll(vitest, modules) })
      gathered.reportLogs()
    },
    after: () => {
      if (up.staysUp) {
        up.retained().forEach((database) => gathered.report({ type: 'database-retained', ...database }))
        gathered.reportNotices()
      }
    },
  })
}

function reportEarlyEnd(report: Report, awaited: string): void {
  report({ type: 'ended-early', awaited })
}

/**
 * Returns a function that describes what the run is waiting for; the function returns undefined once the run has ended.
 */
function watchStage(vitest: Vitest, run: InfraRun, spec: ResolvedSpec): () => string | undefined {
  let awaited: (() => string) | undefined = () => run.awaits()
  onRunEnd(vitest, { before: () => {}, after: () => (awaited = undefined) })
  void run.up(spec).then(
    () => (awaited &&= () => 'its tests'),
    () => (awaited = undefined),
  )
  return () => awaited?.()
}

/** Returns the run of this Vitest, or starts one. A new run is stopped after Vitest's workers have exited. */
async function ensureRun(project: TestProject, spec: ResolvedSpec): Promise<InfraRun> {
  const { vitest } = project
  const { runs } = registry()
  const current = runs.get(vitest)
  if (current?.serves(project)) {
    return current
  }
  // Closes a failed run first, to free its ports and names.
  await current?.close().catch(() => {})
  const run = startRun(vitest, spec)
  run.serves(project)
  runs.set(vitest, run)
  return run
}

function startRun(vitest: Vitest, spec: ResolvedSpec): InfraRun {
  const isShort = Boolean(vitest.config.silent) || Boolean(process.env['CI'])
  const gathered = new RunReport({ report: createReporter(process.stderr), isShort })
  const report: Report = (event) => {
    gathered.report(event)
    if (event.type === 'service-lost' && !event.comesBack) {
      // Fails the run even if no test was left to fail.
      process.exitCode = 1
    }
  }
  const run = new InfraRun(spec, {
    environment: process.env,
    workers: workerCount(vitest),
    staysUp: vitest.config.watch,
    onMoved: (facts) => run.environment.apply(describeEnvironment(spec, facts)),
    report,
    clock: systemClock,
  })
  let running: UpInfra | undefined
  const onUp = (up: UpInfra) => {
    running = up
    refreshTemplates(vitest, run, up)
    reportRuns(vitest, gathered, up)
  }
  void run.up(spec).then(onUp, () => {
    // The other projects of this test run fail with the same error.
    void vitest.waitForTestRunEnd().then(run.expire, run.expire)
  })
  const awaited = watchStage(vitest, run, spec)
  let closing: Promise<void> | undefined
  const close = (abandon: AbortSignal) => {
    const idleTimeoutMs = running?.idleTimeoutMs()
    const reportKept = () => {
      if (idleTimeoutMs !== undefined) {
        gathered.report({ type: 'servers-left-running', idleTimeoutMs })
      }
    }
    closing ??= run
      .close(abandon)
      .then(reportKept)
      .finally(() => gathered.close())
      .catch((error: unknown) => {
        report({ type: 'stop-failed', message: messageOf(error) })
        process.exitCode = 1
      })
    return closing
  }
  const guarded = guardEnd(process, () => {
    gathered.close()
    reportEarlyEnd(report, closing ? 'its servers to stop' : (awaited() ?? 'Vitest to close'))
  })
  const endTimeoutMs = CLOSE_SHARE * vitest.config.teardownTimeout
  const cleanUp = (endsWell: boolean) => {
    const early = awaited()
    // In watch mode the user ends the process, so this is not a failure.
    if (endsWell && !closing && early !== undefined && !vitest.config.watch) {
      process.exitCode = 1
      reportEarlyEnd(report, early)
    }
    return withAbandonTimeout(endTimeoutMs, close).finally(guarded)
  }
  const release = cleanUpBeforeExit(process, cleanUp)
  vitest.onClose(async () => {
    await workersEnded(vitest, systemClock)
    await withAbandonTimeout(endTimeoutMs, async (abandon) => {
      await (closing ? undefined : run.settle(abandon))
      await close(abandon)
    })
    release()
    guarded()
  })
  return run
}
