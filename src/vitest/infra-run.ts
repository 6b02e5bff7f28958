import { enableCompileCache } from 'node:module'
import { EnvironmentPatch } from '../environment/environment-patch.ts'
import type { StackFacts } from '../environment/infra-facts.ts'
import { InfraError } from '../errors.ts'
import { unlessAbandoned } from '../internal/abortable.ts'
import type { Report } from '../report/events.ts'
import { identifyStep } from '../config/identify-step.ts'
import type { SeedFunction, SeedStep } from '../config/infra-options.ts'
import type { ResolvedSpec } from '../config/resolve-spec.ts'
import type { StartContext, StartingInfra, UpInfra } from '../stack/start-infra.ts'

type StepIdentity = Omit<SeedStep, 'files'>

/** Computes the variables of one project from the facts of a lease. */
export type ProjectVariables = (facts: StackFacts) => Readonly<Record<string, string>>

/** The stack of one Vitest run, started by the first project that requests it. */
export class InfraRun {
  /** The variables of this run in the main process's environment. */
  readonly environment: EnvironmentPatch
  readonly #spec: ResolvedSpec
  readonly #variables = new Map<string, ProjectVariables>()
  readonly #starting: Promise<StartingInfra>
  /** Projects that have received the stack, or the error of its start. */
  readonly #projects = new WeakSet()
  readonly #printedLines = new Set<string>()
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
    // Caches compiled code, as Vite's CLI does. This reduces the load time of Testcontainers by a third.
    enableCompileCache()
    // Imported dynamically, so that a run without test files loads nothing.
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

  /** Prints a line about the whole run, unless it was printed before. */
  readonly print = (line: string): void => {
    if (!this.#printedLines.has(line)) {
      this.#printedLines.add(line)
      this.#report({ type: 'summary', line })
    }
  }

  /** Registers the function that computes the variables for a project's leases. */
  serve(project: string, variables: ProjectVariables): void {
    this.#variables.set(project, variables)
  }

  /**
   * Resolves once the stack is running.
   *
   * @throws InfraError `INFRA_OPTIONS_CONFLICT` if `spec` needs a different stack than the run's first project
   */
  async up(spec: ResolvedSpec): Promise<UpInfra> {
    if (stackKey(spec) !== stackKey(this.#spec)) {
      throw optionsConflict(this.#spec, spec)
    }
    return (await this.#starting).up
  }

  /** Returns what the start is waiting for, as text for a message. */
  awaits(): string {
    return this.#awaits()
  }

  /** Whether {@link InfraRun.close} was called. A closed run cannot be used again. */
  get closed(): boolean {
    return this.#closing !== undefined
  }

  /**
   * Whether a project gets this run's stack, or the error of its start. After a failed start, all projects of the same
   * test run get the same error, and the next test run starts a new stack.
   */
  serves(project: object): boolean {
    const isNew = !this.#projects.has(project)
    this.#projects.add(project)
    return this.#failed ? isNew && !this.#expired : !this.closed
  }

  /** Marks the end of the test run for which the stack was started. */
  readonly expire = (): void => {
    this.#expired = true
  }

  /**
   * Waits for background work and reports findings, until `abandon` aborts. Call it before {@link InfraRun.close} at the
   * end of a run that was not interrupted.
   */
  async settle(abandon: AbortSignal): Promise<void> {
    const up = (await this.#starting).up.catch(() => undefined)
    await (await unlessAbandoned(up, abandon))?.settle(abandon)
  }

  /** Stops the stack, even if it is still starting. Resolves when it has stopped or `abandon` aborts. */
  close(abandon?: AbortSignal): Promise<void> {
    this.environment.restore()
    this.#closing ??= this.#starting.then((starting) => starting.stop(abandon))
    return this.#closing
  }
}

/**
 * Returns a key that is equal for specs that can share one stack. Isolation and names of variables may differ between
 * projects.
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
        'Cannot start the stack: two projects of this run fill its databases with functions that have the same text but are different objects, so their results may differ',
      remedy:
        'Move the functions into one infra.config.ts at the root, or give each as a step with a key: { name, key, files, run }',
    })
  }
  return new InfraError('INFRA_OPTIONS_CONFLICT', {
    problem: 'Cannot start the stack: two projects of this run have different options',
    remedy: 'Give infra() the same options in each project, or move them into one infra.config.ts at the root',
  })
}
