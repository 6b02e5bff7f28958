import { enableCompileCache } from 'node:module'
import { EnvironmentPatch } from '../environment/environment-patch.ts'
import type { StackFacts } from '../environment/infra-facts.ts'
import { InfraError } from '../errors.ts'
import { unlessLetGo } from '../internal/abortable.ts'
import type { Report } from '../report/events.ts'
import { identifyStep } from '../config/identify-step.ts'
import type { SeedFunction, SeedStep } from '../config/infra-options.ts'
import type { ResolvedSpec } from '../config/resolve-spec.ts'
import type { StartContext, StartingInfra, UpInfra } from '../stack/start-infra.ts'

type StepIdentity = Omit<SeedStep, 'files'>

/** The variables of one project, for what a file of it was given. */
export type ProjectVariables = (facts: StackFacts) => Readonly<Record<string, string>>

/** The stack of one Vitest run, started by the first project that asks. */
export class InfraRun {
  /** The variables of this run in the main process. */
  readonly environment: EnvironmentPatch
  readonly #spec: ResolvedSpec
  readonly #variables = new Map<string, ProjectVariables>()
  readonly #starting: Promise<StartingInfra>
  /** The projects to which a failed start was reported. */
  readonly #told = new WeakSet()
  readonly #toldLines = new Set<string>()
  readonly #report: Report
  #failed = false
  #expired = false
  #awaits = () => 'the start of the stack'
  #closing: Promise<void> | undefined

  constructor(spec: ResolvedSpec, context: Omit<StartContext, 'variables'>) {
    this.environment = new EnvironmentPatch(context.environment)
    this.#report = context.report
    this.#spec = spec
    const variables = (project: string, facts: StackFacts) => this.#variables.get(project)?.(facts) ?? {}
    // As Vite's command does: Testcontainers takes a third less time to load when it was compiled once.
    enableCompileCache()
    // Loaded here and not above, so that a run without test files loads none of it.
    this.#starting = import('../stack/start-infra.ts').then(({ startInfra }) => {
      const starting = startInfra(spec, { ...context, variables })
      this.#awaits = () => starting.awaits()
      return starting
    })
    void this.#starting
      .then(({ up }) => up)
      .catch(() => {
        this.#failed = true
      })
  }

  /** Prints one line about the whole run, once. */
  readonly tell = (line: string): void => {
    if (!this.#toldLines.has(line)) {
      this.#toldLines.add(line)
      this.#report({ type: 'summary', line })
    }
  }

  /** Has the leases of a project come with these variables. */
  serve(project: string, variables: ProjectVariables): void {
    this.#variables.set(project, variables)
  }

  /**
   * What is there, once the stack is up.
   *
   * @throws InfraError `INFRA_OPTIONS_CONFLICT` if `spec` asks for another stack than the run's first project did
   */
  async up(spec: ResolvedSpec): Promise<UpInfra> {
    if (stackKey(spec) !== stackKey(this.#spec)) {
      throw optionsConflict(this.#spec, spec)
    }
    return (await this.#starting).up
  }

  /** What the start waits for. */
  awaits(): string {
    return this.#awaits()
  }

  /** Whether {@link InfraRun.close} was called; a closed run cannot be used any more. */
  get closed(): boolean {
    return this.#closing !== undefined
  }

  /**
   * Whether a project is to have the stack of this run, or the error that it failed with: all projects of one round of
   * tests have the same one, and the next round starts a stack anew.
   */
  serves(project: object): boolean {
    const isNew = !this.#told.has(project)
    this.#told.add(project)
    return this.#failed ? isNew && !this.#expired : !this.closed
  }

  /** To be called when the round of tests is over for which the stack was started. */
  readonly expire = (): void => {
    this.#expired = true
  }

  /** To be called before {@link InfraRun.close} at the end of a run that was not interrupted. */
  async settle(letGo: AbortSignal): Promise<void> {
    const up = (await this.#starting).up.catch(() => undefined)
    await (await unlessLetGo(up, letGo))?.settle(letGo)
  }

  /** Takes the stack down, at whatever stage it is, and waits for it until `letGo` aborts. */
  close(letGo?: AbortSignal): Promise<void> {
    this.environment.restore()
    this.#closing ??= this.#starting.then((starting) => starting.stop(letGo))
    return this.#closing
  }
}

/**
 * Equal for specs that one stack can serve; how it is divided among files, and the names of variables, are each project's
 * own affair.
 */
function stackKey(spec: ResolvedSpec, idOf: (step: StepIdentity) => string = identifyStep): string {
  const { root, provider, startupTimeoutMs, snapshot, keepAliveMs, postgres, redis } = spec
  const custom = spec.custom.map(({ env: _env, ...server }) => server)
  const stack = { root, provider, startupTimeoutMs, snapshot, keepAliveMs, postgres, redis, custom }
  return JSON.stringify(stack, (_key, value: unknown) => {
    if (typeof value === 'function') {
      return idOf({ name: value.name, run: value as SeedFunction })
    }
    return isStep(value) ? { ...value, run: idOf(value) } : value
  })
}

function isStep(value: unknown): value is SeedStep {
  return typeof value === 'object' && value !== null && 'run' in value && typeof value.run === 'function'
}

function textOf({ run }: StepIdentity): string {
  return String(run)
}

function optionsConflict(one: ResolvedSpec, other: ResolvedSpec): InfraError {
  if (stackKey(one, textOf) === stackKey(other, textOf)) {
    return new InfraError('INFRA_OPTIONS_CONFLICT', {
      problem:
        'Cannot start the stack: two projects of this run fill its databases with functions that look alike but are not the same, so that their values may differ',
      remedy:
        'Move the functions into one infra.config.ts at the root, or give each as a step with a key: { name, key, files, run }',
    })
  }
  return new InfraError('INFRA_OPTIONS_CONFLICT', {
    problem: 'Cannot start the stack: two projects of this run ask for different ones',
    remedy: 'Give infra() the same options in each project, or move them into one infra.config.ts at the root',
  })
}
