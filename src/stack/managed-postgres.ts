import type { DatabaseSource } from '../leasing/lease-source.ts'
import type { LeaseLimit } from '../leasing/lease-limit.ts'
import { planTemplates } from '../databases/plan-templates.ts'
import type { TemplatePlan } from '../databases/templates.ts'
import { definePostgres, loadPostgres } from '../services/postgres.ts'
import { definePostgresSnapshot } from '../services/postgres-snapshot.ts'
import type { HealthyService, ServiceDefinition } from '../services/service.ts'
import type { ResolvedPostgres } from '../config/resolve-spec.ts'
import { type BackendContext, readyServers } from '../leasing/backend-context.ts'
import type { PreparedPostgres } from './prepared-postgres.ts'

/**
 * PostgreSQL in a container or as a local process: the server's definition, its templates, and the databases or servers
 * to lease.
 */
export class ManagedPostgresBackend {
  readonly definition: ServiceDefinition
  readonly #spec: ResolvedPostgres
  readonly #plans: readonly TemplatePlan[]
  readonly #context: BackendContext
  #prepared: PreparedPostgres | undefined
  #servers = 0

  private constructor(spec: ResolvedPostgres, plans: readonly TemplatePlan[], context: BackendContext) {
    this.#spec = spec
    this.#plans = plans
    this.#context = context
    const instances = spec.isolation === 'server' ? context.workers + readyServers(context) : 0
    const definition = definePostgres(spec, instances)
    const snapshot = context.snapshots ? definePostgresSnapshot(definition, identify(plans)) : undefined
    this.definition = { ...definition, ...(snapshot && { snapshot }), prepare: (server) => this.#prepare(server) }
  }

  /** Reads all inputs of the templates, so that a missing file is reported before a server starts. */
  static plan(spec: ResolvedPostgres, context: BackendContext): ManagedPostgresBackend {
    return new ManagedPostgresBackend(spec, planTemplates(spec.templates, context.root), context)
  }

  /**
   * Reads the templates' inputs again. A template whose inputs have changed is rebuilt, and so is each template that
   * extends it.
   */
  async refresh(): Promise<void> {
    await this.#prepared?.refresh()
  }

  /** The databases or servers to lease; undefined until the server is prepared. */
  get databases(): DatabaseSource | undefined {
    return this.#prepared?.databases
  }

  /** How many databases may be leased at once. Leased servers are limited by their pool, so this is undefined. */
  get limit(): LeaseLimit | undefined {
    return this.#prepared?.limit
  }

  /** Always undefined: the main database is the one that the spec names. */
  get main(): undefined {
    return undefined
  }

  /** Returns the command that opens one of its databases in psql. */
  commandFor(database: string): string {
    return this.#prepared?.commandFor(database) ?? database
  }

  /** Waits a limited time for a snapshot in progress, which the next run can use. */
  async settle(abandon: AbortSignal): Promise<void> {
    await this.#prepared?.settle(abandon)
  }

  async close(_leasesBack: Promise<void>, abandon?: AbortSignal): Promise<void> {
    await this.#prepared?.close(abandon)
  }

  /** Loads the modules that a healthy server needs, while the server starts. */
  async load(): Promise<typeof import('./prepared-postgres.ts')> {
    const [prepared] = await Promise.all([import('./prepared-postgres.ts'), loadPostgres()])
    return prepared
  }

  async #prepare(server: HealthyService): Promise<void> {
    // There is a previous server if one was lost and restarts, or if a restored or attached one failed.
    await this.#prepared?.close()
    const { PreparedPostgres } = await this.load()
    const [spec, plans] = [this.#spec, this.#plans]
    this.#servers += 1
    // Each server has its own database names. A client of the old server cannot reach another lease's database on the
    // new one.
    const runId = this.#servers === 1 ? this.#context.runId : `${this.#context.runId}_r${this.#servers}`
    this.#prepared = await PreparedPostgres.open(server, { spec, plans, context: { ...this.#context, runId } })
    await this.#prepared.prepare()
  }
}

/** Returns the inputs of the templates that a snapshot may contain. */
function identify(plans: readonly TemplatePlan[]): readonly unknown[] {
  return plans.filter(({ isRepeatable }) => isRepeatable).map(({ name, from, inputs }) => [name, from, inputs])
}
