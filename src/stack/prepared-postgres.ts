import { DatabaseResetter } from '../reset/database-resetter.ts'
import { type DatabaseReset, Databases } from '../databases/databases.ts'
import { FailureLog } from '../databases/failure-log.ts'
import type { DatabaseSource } from '../leasing/lease-source.ts'
import { type LeaseLimit, limitDatabases } from '../leasing/lease-limit.ts'
import { dropLeftovers } from '../databases/leftovers.ts'
import { planTemplates } from '../databases/plan-templates.ts'
import { PostgresServers } from '../servers/postgres-servers.ts'
import { layersOf, type TemplatePlan, Templates, unplannedTemplates } from '../databases/templates.ts'
import { redact } from '../internal/redact.ts'
import { prefixOf } from '../internal/names.ts'
import { ensureUserDatabase, psqlCommand } from '../services/postgres.ts'
import { PostgresAdmin } from '../services/postgres-admin.ts'
import { createLogParser, LOG_LINE_PREFIX } from '../services/postgres-log.ts'
import { copyPostgresData, sealPostgresCopy } from '../services/postgres-snapshot.ts'
import type { PostgresSurvey } from '../services/postgres-survey.ts'
import { ServerWide } from '../services/server-wide.ts'
import type { HealthyService, KeepSnapshot, SnapshotUse } from '../services/service.ts'
import { DEFAULT_TEMPLATE, type ResolvedPostgres } from '../config/resolve-spec.ts'
import { verifyAttached, makeSpare, notePostgres, resetMain } from './attached-postgres.ts'
import { type BackendContext, readyServers } from '../leasing/backend-context.ts'
import { SnapshotTaking } from './snapshot-taking.ts'

type MissingSnapshot = Extract<SnapshotUse, { kind: 'missing' }>

interface MainFilling {
  /** The database of the default template. */
  readonly template: string
  readonly snapshot: SnapshotUse
  readonly resetter: DatabaseResetter
}

/**
 * How long the end of a run waits for its snapshot. Otherwise a suite that is faster than its first snapshot would
 * never have one.
 */
const SNAPSHOT_TIMEOUT_MS = 5_000

/** Delay of background work on the server, which would slow down the start of the first worker. */
const TIDYING_DELAY_MS = 150

/** If there are more leftover databases than this, they are dropped without delay, because they take up memory. */
const LEFTOVERS_TOLERATED = 16

export interface PreparedPostgresOptions {
  readonly spec: ResolvedPostgres
  readonly plans: readonly TemplatePlan[]
  readonly context: BackendContext
}

/** A healthy PostgreSQL server that this package runs: its templates, and the databases or servers to lease. */
export class PreparedPostgres {
  readonly #spec: ResolvedPostgres
  #plans: readonly TemplatePlan[]
  readonly #context: BackendContext
  readonly #serverWide: ServerWide
  readonly #server: HealthyService
  readonly #admin: PostgresAdmin
  readonly #createTemplates: (plans: readonly TemplatePlan[]) => Templates
  #templates: Templates
  #databases: Databases | undefined
  #limit: LeaseLimit | undefined
  #servers: PostgresServers | undefined
  #taking: SnapshotTaking | undefined
  readonly #closing = new AbortController()
  /** Why the last refresh could not plan the templates. */
  #unplanned: { readonly reason: unknown } | undefined

  private constructor(server: HealthyService, admin: PostgresAdmin, { spec, plans, context }: PreparedPostgresOptions) {
    this.#spec = spec
    this.#plans = plans
    this.#context = context
    this.#server = server
    this.#admin = admin
    this.#serverWide = new ServerWide(admin)
    const { runId, report, clock } = context
    this.#createTemplates = (given) =>
      new Templates({
        admin,
        plans: given,
        serverVersion: server.version,
        runId,
        report,
        clock,
        serverWide: this.#serverWide,
      })
    this.#templates = this.#createTemplates(plans)
  }

  /** Connects to the server. Call `prepare()` next, and `close()` in any case. */
  static async open(server: HealthyService, options: PreparedPostgresOptions): Promise<PreparedPostgres> {
    const { user, password, database } = options.spec
    return new PreparedPostgres(
      server,
      await PostgresAdmin.open({ ...server.address, user, password, database }),
      options,
    )
  }

  /**
   * Reads the inputs of the templates again. Templates whose inputs changed are built again, and so are those on top of
   * them. If a file is missing, requests for a database fail with that reason until the file is back.
   */
  async refresh(): Promise<void> {
    const before = this.#unplanned ? [] : this.#wanted()
    try {
      this.#plans = planTemplates(this.#spec.templates, this.#context.root)
      this.#unplanned = undefined
    } catch (reason) {
      this.#unplanned = { reason }
      await this.#databases?.useTemplates(unplannedTemplates(reason))
      await this.#servers?.renew()
      return
    }
    this.#templates = this.#createTemplates(this.#plans)
    await this.#databases?.useTemplates(this.#templates)
    if (this.#wanted().some((database, index) => database !== before[index])) {
      await this.#servers?.renew()
    }
  }

  /** The databases or servers to lease; undefined until the server is prepared. */
  get databases(): DatabaseSource | undefined {
    return this.#servers ?? this.#databases
  }

  /** How many databases may be leased at once; undefined for leased servers, which are limited by their pool. */
  get limit(): LeaseLimit | undefined {
    return this.#servers ? undefined : this.#limit
  }

  /** Returns the command that opens one of its databases in psql. */
  commandFor(database: string): string {
    const { address, container } = this.#server
    return psqlCommand({ ...address, user: this.#spec.user, database }, container)
  }

  /** Waits a limited time for a snapshot in progress. */
  async settle(abandon: AbortSignal): Promise<void> {
    await this.#taking?.settle(SNAPSHOT_TIMEOUT_MS, abandon)
  }

  /** Closes all connections. A snapshot in progress is awaited only until `abandon` aborts. */
  async close(abandon?: AbortSignal): Promise<void> {
    this.#closing.abort()
    await this.#taking?.end(abandon)
    await Promise.all([this.#servers?.close(), this.#admin.close()])
  }

  /** Builds the default template, fills the main database, and starts to create databases or servers to lease. */
  async prepare(): Promise<void> {
    const { address, snapshot, reuse } = this.#server
    const { user, password, database } = this.#spec
    const { runId, workers, report, clock } = this.#context
    const admin = this.#admin
    const templates = this.#templates
    const attached =
      snapshot.kind === 'attached'
        ? await verifyAttached(admin, {
            database,
            template: templates.databaseOf(DEFAULT_TEMPLATE),
            wanted: this.#wanted(),
            note: snapshot.note,
          })
        : undefined
    if (attached?.isCleared) {
      // Stored already, in case this run fails before it stores the next note.
      reuse?.note(await notePostgres(admin, database))
    }
    await ensureUserDatabase({ ...address, user, password, database })
    if (snapshot.kind === 'missing') {
      await this.#takeSnapshot(admin, templates, snapshot)
    }
    const resetter = new DatabaseResetter({ admin, prefix: prefixOf(runId), clock, report })
    const reset: DatabaseReset = (name, source, use) => resetter.reset(name, source, use)
    const template = await templates.ensure(DEFAULT_TEMPLATE)
    const [capacity, free] = await Promise.all([
      admin.readCapacity(template),
      this.#server.freeBytes(),
      this.#fillMain(admin, { template, snapshot, resetter }),
    ])
    if (reuse && !attached?.templates.includes(template)) {
      reuse.note(await notePostgres(admin, database))
    }
    this.#limit = limitDatabases({ ...capacity, freeBytes: free, workers })
    const isOwnServer = this.#spec.isolation === 'server'
    const target = isOwnServer ? 0 : workers + 1
    const log = new FailureLog({
      admin,
      read: (count, sinceMs) => this.#server.logTail(count, sinceMs),
      parse: createLogParser(this.#spec.settings['log_line_prefix'] ?? LOG_LINE_PREFIX),
      redact: (line) => redact(line, { user, password }),
      clock,
    })
    const countUse = (name?: string) => admin.countUse(name)
    this.#databases = new Databases({ admin, templates, runId, clock, target, reset, log, countUse })
    // Runs in parallel with the rest of the start; the first request reports a failure.
    void (isOwnServer ? this.#startServers(this.#databases) : this.#databases.warm(DEFAULT_TEMPLATE)).catch(() => {})
    if (reuse) {
      // The next run repeats what fails here.
      void this.#tidyUp(attached, template).catch(() => {})
    }
  }

  /** Does background work for the next run, which repeats it if this run ends first. */
  async #tidyUp(attached: PostgresSurvey | undefined, template: string): Promise<void> {
    const { leftovers = [] } = attached ?? {}
    if (leftovers.length <= LEFTOVERS_TOLERATED) {
      await this.#context.clock.sleep(TIDYING_DELAY_MS, this.#closing.signal)
    }
    if (attached) {
      await dropLeftovers(this.#admin, attached, this.#wanted())
      // The databases just dropped may have been the last ones with objects of these roles.
      await this.#serverWide.dropAside()
    }
    // Other runs cannot use a template that is not repeatable.
    if (this.#spec.database !== this.#admin.address.database && this.#isRepeatable(DEFAULT_TEMPLATE)) {
      await makeSpare(this.#admin, template)
    }
  }

  /** Starts the servers to lease, which are copies of this one with all templates built. */
  async #startServers(main: Databases): Promise<void> {
    const { address, version, instances } = this.#server
    const { user, password } = this.#spec
    const { runId, report, clock, startupTimeoutMs } = this.#context
    this.#servers = new PostgresServers({
      instances,
      target: readyServers(this.#context),
      clock,
      startupTimeoutMs,
      runId,
      address: { ...address, user, password, database: this.#spec.database },
      main,
      takeBase: async () => {
        if (this.#unplanned) {
          throw this.#unplanned.reason
        }
        // If a template fails, it is built again on the server of the file that needs it, which reports the failure.
        await Promise.allSettled(this.#plans.map(async ({ name }) => this.#templates.ensure(name)))
        await this.#admin.checkpoint()
        await this.#server.takeBase()
      },
      // The builds were already reported for the main server.
      createTemplates: (admin) =>
        new Templates({ admin, plans: this.#plans, serverVersion: version, runId, report: () => {}, clock }),
      report,
    })
    await this.#servers.renew()
  }

  /** Copies the data before the server is used. The snapshot is completed in the background. */
  async #takeSnapshot(admin: PostgresAdmin, templates: Templates, { folder, keep }: MissingSnapshot): Promise<void> {
    const { report, clock } = this.#context
    if (this.#isRepeatable(DEFAULT_TEMPLATE)) {
      await this.#fillNew(admin, await templates.ensure(DEFAULT_TEMPLATE))
    }
    const copying = this.#buildRepeatable(templates).then(() => copyPostgresData(admin.address, folder))
    // The run goes on without a snapshot and reports the reason at its end.
    await copying.catch(() => {})
    const take: KeepSnapshot = async (...signals) => {
      await copying
      await sealPostgresCopy(admin.address, folder)
      await keep(...signals)
    }
    this.#taking = new SnapshotTaking(take, { service: 'postgres', report, clock })
  }

  /** Builds every template that a snapshot may hold, so that no later run has to. */
  async #buildRepeatable(templates: Templates): Promise<void> {
    const names = this.#plans.flatMap(({ name, isRepeatable }) => (isRepeatable ? [name] : []))
    // Waits for all builds, also after a failure: none may write while the data is copied or tests run.
    const outcomes = await Promise.allSettled(names.map((name) => templates.ensure(name)))
    const failed = names.filter((_, index) => outcomes[index]?.status === 'rejected')
    if (failed.length > 0) {
      throw new Error(`template "${failed.join('", "')}" could not be built`)
    }
  }

  /** Returns the databases of all templates. */
  #wanted(): readonly string[] {
    return this.#plans.map(({ name }) => this.#templates.databaseOf(name))
  }

  #isRepeatable(template: string): boolean {
    return this.#plans.some(({ name, isRepeatable }) => name === template && isRepeatable)
  }

  /** Makes the main database a clone of the default template. It is empty so far, or an earlier run has used it. */
  async #fillMain(admin: PostgresAdmin, { template, snapshot, resetter }: MainFilling): Promise<void> {
    const { database } = this.#spec
    if (snapshot.kind === 'attached') {
      await (database === admin.address.database
        ? resetter.resetMain(database, template)
        : resetMain(admin, { database, template, runId: this.#context.runId }))
    } else if (snapshot.kind === 'none' || !this.#isRepeatable(DEFAULT_TEMPLATE)) {
      await this.#fillNew(admin, template)
    }
  }

  /** Fills the main database of a new server, which is empty. */
  async #fillNew(admin: PostgresAdmin, template: string): Promise<void> {
    const { database } = this.#spec
    const layers = layersOf(this.#plans, DEFAULT_TEMPLATE)
    if (database === admin.address.database) {
      // We are connected to it, so it cannot be replaced.
      for (const layer of layers) {
        await layer.build(admin.address)
      }
    } else if (!layers.every(({ isEmpty }) => isEmpty)) {
      await admin.dropDatabase(database, { force: true })
      await admin.createDatabase(database, template)
    }
  }
}
