import type { Reporter, TestProject, Vitest } from 'vitest/node'
import type { StackFacts } from './environment/infra-facts.ts'
import { InfraError, messageOf, plainError } from './errors.ts'
import { systemClock } from './internal/clock.ts'
import { withLetGo } from './internal/time-limit.ts'
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
import type { LeaseAccess, Refusal } from './leasing/lease-protocol.ts'
import { tellAroundRunEnd } from './vitest/around-run-end.ts'
import { describeUnstartedStack, isListMode } from './vitest/list-mode.ts'
import { InfraRun, type ProjectVariables } from './vitest/infra-run.ts'
import { repeatGlobalSetups, wasSetUp } from './vitest/global-setups.ts'
import { keepsModules } from './vitest/keeps-modules.ts'
import { PLUGIN_NAME, registry } from './vitest/registry.ts'
import { runsAll } from './vitest/runs-all.ts'
import { addSetupFile } from './vitest/setup-file-path.ts'
import { settleTestEnv } from './vitest/test-env.ts'
import { redisFiles, templateFiles, watchFiles } from './vitest/watched-files.ts'
import { workerCount } from './vitest/worker-count.ts'
import { workersEnded } from './vitest/workers-ended.ts'
import { asFirstRead, placeInConfig, placeOfCall } from './vitest/written-options.ts'

export type { InfraFacts } from './environment/infra-facts.ts'
export type { InfraOptions } from './config/infra-options.ts'

/**
 * A global setup with options, for a file of your own in place of the plugin. It must stand first in `globalSetup`.
 *
 * @example
 * // test/global-setup.ts
 * export default createGlobalSetup({ postgres: { database: 'shop' } })
 */
export function createGlobalSetup(options: InfraOptions = {}): (project: TestProject) => Promise<void> {
  const place = placeOfCall(createGlobalSetup)
  return (project) => setUp(project, asFirstRead(project, place, options))
}

/** Of the time after which Vitest says "close timed out": what the end of a run may take. */
const END_SHARE = 0.75

/** `globalSetup: ['vitest-infra/global-setup']`: the same as the plugin, configured by `infra.config.ts`. */
export default createGlobalSetup()

/** What is raised on purpose says all in its message; frames of this package would only stand in its way. */
function throwPlainly(error: unknown): never {
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
  // Files of a project that has services may be part of a later run, at which Vitest does not set up the root again.
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

/** A global setup of the root config serves all projects, but those that have the plugin are served for themselves. */
function projectsServedBy(project: TestProject): readonly TestProject[] {
  if (!project.isRootProject()) {
    return [project]
  }
  const others = project.vitest.projects.filter((other) => other !== project && !registry().options.has(other))
  return hasTests(project) || others.length > 0 ? [project, ...others] : []
}

/** The root project has tests of its own only where it is the one project. */
function hasTests(project: TestProject): boolean {
  return project.vitest.projects.includes(project)
}

interface VariablesContext {
  readonly spec: ResolvedSpec
  readonly facts: StackFacts
  /** The values that this run has replaced in the environment of this process. */
  readonly before: Readonly<Record<string, string | undefined>>
  readonly tell: (line: string) => void
}

interface Serving {
  readonly served: readonly TestProject[]
  /** For a global setup that no plugin has added. */
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
      options: registry().options.get(project) ?? optionsOfRoot(vitest) ?? options,
      environment: process.env,
    }).finally(reading)
    if (isListMode(process.argv) || servicesOf(spec).length === 0) {
      serveListing(served, spec)
    } else {
      watchFiles(vitest, [...templateFiles(spec), ...redisFiles(spec)])
      await serveFromStack(project, { served, spec })
    }
    provideFailure(served, undefined)
    whileFailing.forEach((unwatch) => unwatch())
  } catch (error) {
    // Vitest sets up a project once, even if that failed.
    repeatGlobalSetups(project)
    if (!vitest.config.watch) {
      // With --dangerouslyIgnoreUnhandledErrors and --passWithNoTests, Vitest itself exits with 0.
      process.exitCode = 1
      throwPlainly(error)
    }
    // The tests fail, not the setup: at a rerun Vitest would exit, and after a first run it knows no files to run again.
    provideFailure(served, error)
  }
}

/** What was said to `infra()` at the root, for projects that have it from there without having the plugin. */
function optionsOfRoot(vitest: Vitest): InfraOptions | undefined {
  const root = vitest.getRootProject()
  const plugin = vitest.vite.config.plugins.find(({ name }) => name === PLUGIN_NAME)
  return plugin && asFirstRead(root, placeInConfig(plugin, root), plugin.api as InfraOptions)
}

function provideFailure(projects: readonly TestProject[], error: unknown): void {
  for (const project of projects) {
    project.provide('infra:failure', error === undefined ? undefined : describeFailure(error))
    if (error !== undefined) {
      addSetupFile(project)
    }
  }
}

function describeFailure(error: unknown): Refusal {
  const { message, code } =
    error instanceof InfraError
      ? error
      : new InfraError('INFRA_SERVICE_START', {
          problem: `Cannot start the stack: ${messageOf(error)}`,
          remedy: 'Correct what it names; the next run starts it again',
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
    const variables = variablesOf(other, { spec, facts, before: run.environment.before(), tell: run.tell })
    run.serve(other.name, variables)
    other.provide('infra', { ...facts, env: variables(facts) })
    other.provide('infra:lease', leaseAccessOf(other, spec, socket))
    addSetupFile(other)
  }
  const early = served.filter((other) => other !== project && [other.config.globalSetup].flat().length > 0)
  early.forEach(({ name }) =>
    run.tell(
      `project "${name}" has a global setup of its own, which runs before the one of the root: add infra() to its plugins to have the variables there`,
    ),
  )
  shieldOthers(vitest, run)
}

/** Projects without services have none of the variables either, which their workers inherit from this process. */
function shieldOthers({ projects, config }: Vitest, { environment }: InfraRun): void {
  for (const project of projects.filter((other) => !registry().served.has(other))) {
    const ownWord = Object.keys({ ...config.env, ...project.config.env })
    const before = Object.entries(environment.before()).filter(([name]) => !ownWord.includes(name))
    project.provide('infra:before', Object.fromEntries(before))
    addSetupFile(project)
  }
}

function serveListing(served: readonly TestProject[], spec: ResolvedSpec): void {
  const facts = describeUnstartedStack(spec)
  for (const project of served) {
    const variables = variablesOf(project, { spec, facts, before: {}, tell: () => {} })
    project.provide('infra', { ...facts, env: variables(facts) })
    // Not the one of the root project, which Vitest hands down.
    project.provide('infra:lease', undefined)
    addSetupFile(project)
  }
}

/** The variables of a lease and those of the user's `test.env`; contradictions are reported once. */
function variablesOf(project: TestProject, { spec, facts, before, tell }: VariablesContext): ProjectVariables {
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
  lines.forEach(tell)
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

/** In watch mode a rerun is on templates that were made anew where their files have changed. */
function refreshTemplates(vitest: Vitest, run: InfraRun, up: UpInfra): void {
  if (!vitest.config.watch) {
    return
  }
  // Handlers outlive a restart of Vitest, and with it their run.
  vitest.onTestsRerun(async () => {
    if (!run.closed) {
      up.beginRerun()
      const served = vitest.projects.filter((project) => registry().served.has(project))
      // An error that left here would end Vitest.
      await up.refresh().then(
        () => provideFailure(served, undefined),
        (error: unknown) => provideFailure(served, error),
      )
    }
  })
}

/** Events that were held back are printed at the end of a run, unless the end of Vitest is the better place. */
function tellOfRuns(vitest: Vitest, gathered: RunReport, up: UpInfra): void {
  tellAroundRunEnd(vitest, {
    before: (modules, isPassed) => {
      up.endTests({ isWhole: isPassed && runsAll(vitest, modules) })
      gathered.tellLogs()
    },
    after: () => {
      if (up.livesOn) {
        up.retained().forEach((database) => gathered.report({ type: 'database-retained', ...database }))
        gathered.tellNotices()
      }
    },
  })
}

function reportEarlyEnd(report: Report, awaited: string): void {
  report({ type: 'ended-early', awaited })
}

/** What a run is waiting for, until it is over. */
function watchStage(vitest: Vitest, run: InfraRun, spec: ResolvedSpec): () => string | undefined {
  let awaited: (() => string) | undefined = () => run.awaits()
  tellAroundRunEnd(vitest, { before: () => {}, after: () => (awaited = undefined) })
  void run.up(spec).then(
    () => (awaited &&= () => 'its tests'),
    () => (awaited = undefined),
  )
  return () => awaited?.()
}

/** One stack per Vitest, taken down after its workers have ended. */
async function ensureRun(project: TestProject, spec: ResolvedSpec): Promise<InfraRun> {
  const { vitest } = project
  const { runs } = registry()
  const current = runs.get(vitest)
  if (current?.serves(project)) {
    return current
  }
  // One that failed leaves ports and names to the next one.
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
  let running: UpInfra | undefined
  const onUp = (up: UpInfra) => {
    running = up
    refreshTemplates(vitest, run, up)
    tellOfRuns(vitest, gathered, up)
  }
  void run.up(spec).then(onUp, () => {
    // The other projects of this round fail with it, too.
    void vitest.waitForTestRunEnd().then(run.expire, run.expire)
  })
  const awaited = watchStage(vitest, run, spec)
  let closing: Promise<void> | undefined
  const close = (letGo: AbortSignal) => {
    const idleTimeoutMs = running?.idleTimeoutMs()
    const reportKept = () => {
      if (idleTimeoutMs !== undefined) {
        gathered.report({ type: 'servers-left-running', idleTimeoutMs })
      }
    }
    closing ??= run
      .close(letGo)
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
    reportEarlyEnd(report, closing ? 'the end of its servers' : (awaited() ?? 'Vitest to close'))
  })
  const endTimeoutMs = END_SHARE * vitest.config.teardownTimeout
  const cleanUp = (endsWell: boolean) => {
    const early = awaited()
    // In watch mode the user ends the process, so this is no failure.
    if (endsWell && !closing && early !== undefined && !vitest.config.watch) {
      process.exitCode = 1
      reportEarlyEnd(report, early)
    }
    return withLetGo(endTimeoutMs, close).finally(guarded)
  }
  const release = cleanUpBeforeExit(process, cleanUp)
  vitest.onClose(async () => {
    await workersEnded(vitest, systemClock)
    await withLetGo(endTimeoutMs, async (letGo) => {
      await (closing ? undefined : run.settle(letGo))
      await close(letGo)
    })
    release()
    guarded()
  })
  return run
}
