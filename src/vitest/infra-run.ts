import { EnvironmentPatch } from '../environment/environment-patch.ts'
import type { StackFacts } from '../environment/infra-facts.ts'
import { InfraError } from '../errors.ts'
import type { ResolvedSpec } from '../spec/resolve-spec.ts'
import type { StartContext, StartingInfra } from '../stack/start-infra.ts'

/** The stack of one Vitest run, started by the first project that asks. */
export class InfraRun {
  /** The variables of this run in the main process. */
  readonly environment: EnvironmentPatch
  readonly #spec: ResolvedSpec
  readonly #starting: Promise<StartingInfra>
  #closed = false

  constructor(spec: ResolvedSpec, context: StartContext) {
    this.environment = new EnvironmentPatch(context.environment)
    this.#spec = spec
    // Loaded here and not above, so that a run without test files loads none of it.
    this.#starting = import('../stack/start-infra.ts').then(({ startInfra }) => startInfra(spec, context))
  }

  /**
   * The facts of the stack, once it is up.
   *
   * @throws InfraError `INFRA_OPTIONS_CONFLICT` if `spec` asks for another stack than the run's first project did
   */
  async facts(spec: ResolvedSpec): Promise<StackFacts> {
    if (JSON.stringify(spec) !== JSON.stringify(this.#spec)) {
      throw new InfraError('INFRA_OPTIONS_CONFLICT', {
        problem: 'Cannot start the stack: two projects of this run ask for different ones',
        remedy: 'Give infra() the same options in each project, or move them into one infra.config.ts at the root',
      })
    }
    return (await this.#starting).facts
  }

  /** Whether {@link InfraRun.close} was called; a closed run serves nobody any more. */
  get closed(): boolean {
    return this.#closed
  }

  /** Takes the stack down, at whatever stage it is. */
  async close(): Promise<void> {
    this.#closed = true
    this.environment.restore()
    await (await this.#starting).stop()
  }
}
