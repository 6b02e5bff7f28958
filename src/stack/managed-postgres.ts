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

/** PostgreSQL in a stack: what it is, before there is a server, and what becomes of that. */
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

  /** The databases to lease, once the server is prepared. */
  get databases(): DatabaseSource | undefined {
    return this.#prepared?.databases
  }

  /** How many of them there may be at once; servers are as many as their pool has. */
  get limit(): LeaseLimit | undefined {
    return this.#prepared?.limit
  }

  /** The main database, where it is another than the one that the spec names. */
  get main(): undefined {
    return undefined
  }

  /** What to type to look into one of its databases. */
  commandFor(database: string): string {
    return this.#prepared?.commandFor(database) ?? database
  }

  /** Waits for what the next run will be glad of, but not for long. */
  async settle(letGo: AbortSignal): Promise<void> {
    await this.#prepared?.settle(letGo)
  }

  async close(_leasesBack: Promise<void>, letGo?: AbortSignal): Promise<void> {
    await this.#prepared?.close(letGo)
  }

  /** Loads what is needed once there is a server, which takes as long as finding one that is up. */
  async load(): Promise<typeof import('./prepared-postgres.ts')> {
    const [prepared] = await Promise.all([import('./prepared-postgres.ts'), loadPostgres()])
    return prepared
  }

  async #prepare(server: HealthyService): Promise<void> {
    // Prepared before, if a server was lost, or one from a snapshot or of an earlier run was no good.
    await this.#prepared?.close()
    const { PreparedPostgres } = await this.load()
    const [spec, plans] = [this.#spec, this.#plans]
    this.#servers += 1
    // A client of the old server must not reach another lease's database on the new one by the same name.
    const runId = this.#servers === 1 ? this.#context.runId : `${this.#context.runId}_r${this.#servers}`
    this.#prepared = await PreparedPostgres.open(server, { spec, plans, context: { ...this.#context, runId } })
    await this.#prepared.prepare()
  }
}

/** What the templates that a snapshot may hold are made from. */
function identify(plans: readonly TemplatePlan[]): readonly unknown[] {
  return plans.filter(({ isRepeatable }) => isRepeatable).map(({ name, from, inputs }) => [name, from, inputs])
}
