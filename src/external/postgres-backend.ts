import { Databases } from '../databases/databases.ts'
import type { PostgresPlace } from '../leasing/lease-source.ts'
import { connectionsOfRun, type LeaseLimit, limitSharedDatabases } from '../leasing/lease-limit.ts'
import { planTemplates } from '../databases/plan-templates.ts'
import { sweepDatabases } from './sweep-databases.ts'
import { type TemplatePlan, type TemplateSource, unplannedTemplates } from '../databases/templates.ts'
import { prefixOf } from '../internal/names.ts'
import { definePostgres, loadPostgres, psqlCommand } from '../services/postgres.ts'
import type { RunClaim } from './run-claim.ts'
import type { HealthyService, ServiceDefinition } from '../services/service.ts'
import { DEFAULT_TEMPLATE, type ResolvedPostgres } from '../config/resolve-spec.ts'
import { cleanupFailed } from './cleanup-failed.ts'
import { awaitConnections, holdWhenPossible } from './await-connections.ts'
import type { BackendContext } from '../leasing/backend-context.ts'
import { openDatabaseTenancy } from './database-tenancy.ts'
import type { Tenancy } from './tenancy.ts'
import { openSchemaTenancy } from './schema-tenancy.ts'

const SESSIONS_POLL_MS = 250

/** The run's resources on a prepared external server. */
interface Prepared {
  readonly tenancy: Tenancy
  readonly databases: Databases
  readonly limit: LeaseLimit
  readonly main: PostgresPlace
  readonly sweeping: Promise<void>
}

/**
 * PostgreSQL on an external server. Others use the server too, so the run claims and marks everything that it creates.
 * It changes nothing else, and drops its objects at the end.
 */
export class ExternalPostgresBackend {
  readonly definition: ServiceDefinition
  readonly #spec: ResolvedPostgres
  readonly #context: BackendContext
  #plans: readonly TemplatePlan[]
  #opened: { readonly tenancy: Tenancy; readonly claim: RunClaim } | undefined
  #prepared: Prepared | undefined
  readonly #abort = new AbortController()
  #closing: Promise<void> | undefined

  private constructor(spec: ResolvedPostgres, plans: readonly TemplatePlan[], context: BackendContext) {
    this.#spec = spec
    this.#plans = plans
    this.#context = context
    this.definition = { ...definePostgres(spec), prepare: (server) => this.#prepare(server) }
  }

  static plan(spec: ResolvedPostgres, context: BackendContext): ExternalPostgresBackend {
    return new ExternalPostgresBackend(spec, planTemplates(spec.templates, context.root), context)
  }

  get databases(): Databases | undefined {
    return this.#prepared?.databases
  }

  get limit(): LeaseLimit | undefined {
    return this.#prepared?.limit
  }

  /** The run's main database. It is used instead of the database that the URL names, which is not changed. */
  get main(): PostgresPlace | undefined {
    return this.#prepared?.main
  }

  async refresh(): Promise<void> {
    if (this.#prepared) {
      const { databases, tenancy } = this.#prepared
      await databases.useTemplates(this.#replan(tenancy))
    }
  }

  /**
   * Plans the templates again. If a file is missing, requests for a database fail for this reason until the file exists
   * again.
   */
  #replan(tenancy: Tenancy): TemplateSource {
    try {
      this.#plans = planTemplates(this.#spec.templates, this.#context.root)
      return tenancy.createTemplates(this.#plans)
    } catch (reason) {
      return unplannedTemplates(reason)
    }
  }

  commandFor(database: string): string {
    const { host = 'localhost', port = 0 } = this.#spec.server ?? {}
    const target = { database, ...this.#prepared?.tenancy.addressOf?.(database) }
    const command = psqlCommand({ host, port, user: this.#spec.user, database: target.database })
    return target.schema === undefined ? command : `PGOPTIONS='-c search_path=${target.schema}' ${command}`
  }

  async settle(_letGo: AbortSignal): Promise<void> {}

  load(): Promise<void> {
    return loadPostgres()
  }

  /**
   * Cancels a wait for connections. Once all leases are released, drops everything that the run created, except the
   * shared templates.
   */
  close(leasesBack: Promise<void>, _letGo?: AbortSignal): Promise<void> {
    this.#abort.abort()
    this.#closing ??= leasesBack.then(() => this.#close())
    return this.#closing
  }

  async #close(): Promise<void> {
    const { tenancy, claim } = this.#opened ?? {}
    if (!tenancy || !claim) {
      return
    }
    const { admin, marked } = tenancy
    try {
      await this.#prepared?.sweeping
      await this.#closeDatabases(tenancy)
      const own = (await marked.list()).filter(({ run }) => run === this.#context.runId)
      await Promise.all(own.map(({ name }) => admin.dropDatabase(name, { force: true })))
    } catch (error) {
      throw cleanupFailed('postgres', 'databases', error)
    } finally {
      // The claim is released last. Without it, another run would consider this one dead and drop its databases.
      await admin.close()
      await claim.close()
    }
  }

  /**
   * Closes the databases, and terminates their sessions until all are dropped. Otherwise, an unforced drop waits
   * seconds for a worker that is still connecting.
   */
  async #closeDatabases({ marked }: Tenancy): Promise<void> {
    const { runId, clock } = this.#context
    // `#close` drops the remaining databases by force and reports failures.
    const closing = this.#prepared?.databases.close().catch(() => {})
    const closed = Promise.resolve(closing).then(() => true)
    do {
      await marked.endSessions(runId)
    } while (!(await Promise.race([closed, clock.sleep(SESSIONS_POLL_MS).then(() => false)])))
  }

  async #prepare({ address, version }: HealthyService): Promise<void> {
    const { user, password, database, server } = this.#spec
    const { runId, workers, report, clock } = this.#context
    const target = { ...server, ...address, user, password, database }
    const { signal } = this.#abort
    const claim = await holdWhenPossible(target, { runId, connections: connectionsOfRun(workers), clock, signal })
    const open = this.#spec.isolation === 'schema' ? openSchemaTenancy : openDatabaseTenancy
    const tenancy = await open(target, { claim, version, context: this.#context })
    this.#opened = { tenancy, claim }
    const { admin, marked } = tenancy
    if (!(await marked.mayCreate())) {
      throw tenancy.refusal()
    }
    const budget = await awaitConnections(claim, { clock, report, signal })
    const templates = tenancy.createTemplates(this.#plans)
    const main = `${prefixOf(runId)}main`
    await admin.createDatabase(main, await templates.ensure(DEFAULT_TEMPLATE))
    const { reset, addressOf } = tenancy
    const databases = new Databases({
      admin,
      templates,
      runId,
      clock,
      target: workers + 1,
      reset,
      ...(addressOf && { addressOf }),
    })
    this.#prepared = {
      tenancy,
      databases,
      limit: limitSharedDatabases({ ...budget, workers }),
      main: addressOf?.(main) ?? { database: main },
      // The sweep runs in the background, as no test needs it. The next run retries the drops that fail now.
      sweeping: sweepDatabases({ admin, claim, marked, runId }).catch(() => {}),
    }
    void databases.warm(DEFAULT_TEMPLATE).catch(() => {})
  }
}
