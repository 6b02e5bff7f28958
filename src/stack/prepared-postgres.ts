import { DatabaseResetter } from '../reset/database-resetter.ts'
import { type DatabaseReset, Databases } from '../databases/databases.ts'
import { FailureLog } from '../databases/failure-log.ts'
import type { DatabaseSource } from '../leasing/lease-broker.ts'
import { type LeaseLimit, limitDatabases } from '../leasing/lease-limit.ts'
import { dropLeftovers } from '../databases/leftovers.ts'
import { planTemplates } from '../databases/plan-templates.ts'
import { PostgresServers } from '../servers/postgres-servers.ts'
import { layersOf, type TemplatePlan, Templates, unplannedTemplates } from '../databases/templates.ts'
import { redact } from '../internal/redact.ts'
import { prefixOf } from '../services/database-names.ts'
import { ensureUserDatabase, psqlCommand } from '../services/postgres.ts'
import { PostgresAdmin } from '../services/postgres-admin.ts'
import { createLogParser, LOG_LINE_PREFIX } from '../services/postgres-log.ts'
import { copyPostgresData, sealPostgresCopy } from '../services/postgres-snapshot.ts'
import type { PostgresSurvey } from '../services/postgres-survey.ts'
import { ServerWide } from '../services/server-wide.ts'
import type { HealthyServer, KeepSnapshot, SnapshotUse } from '../services/service.ts'
import { DEFAULT_TEMPLATE, type ResolvedPostgres } from '../config/resolve-spec.ts'
import { verifyAttached, makeSpare, notePostgres, renewMain } from './attached-postgres.ts'
import { type BackendContext, readyServers } from '../leasing/backend-context.ts'
import { SnapshotTaking } from './snapshot-taking.ts'

type MissingSnapshot = Extract<SnapshotUse, { kind: 'missing' }>

interface MainFilling {
  /** The database of the default template. */
  readonly template: string
  readonly snapshot: SnapshotUse
  readonly resetter: DatabaseResetter
}

/** A suite that is over sooner than its first snapshot is taken would never have one: it waits once. */
const SNAPSHOT_PATIENCE_MS = 5_000

/** The first worker starts meanwhile, and would take longer while the server makes and drops databases. */
const TIDYING_DELAY_MS = 150

/** Short runs leave a few each; more than these take up memory to no purpose. */
const LEFTOVERS_BORNE = 16

export interface PreparedPostgresOptions {
  readonly spec: ResolvedPostgres
  readonly plans: readonly TemplatePlan[]
  readonly context: BackendContext
}

/** PostgreSQL that is healthy: its templates, and the databases that are leased from it. */
export class PreparedPostgres {
  readonly #spec: ResolvedPostgres
  #plans: readonly TemplatePlan[]
  readonly #context: BackendContext
  readonly #serverWide: ServerWide
  readonly #server: HealthyServer
  readonly #admin: PostgresAdmin
  readonly #createTemplates: (plans: readonly TemplatePlan[]) => Templates
  #templates: Templates
  #databases: Databases | undefined
  #limit: LeaseLimit | undefined
  #servers: PostgresServers | undefined
  #taking: SnapshotTaking | undefined
  readonly #closing = new AbortController()
  /** Why the templates could not be planned when they were looked at last. */
  #unplanned: { readonly reason: unknown } | undefined

  private constructor(server: HealthyServer, admin: PostgresAdmin, { spec, plans, context }: PreparedPostgresOptions) {
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

  /** To be prepared, and in any case to be closed. */
  static async open(server: HealthyServer, options: PreparedPostgresOptions): Promise<PreparedPostgres> {
    const { user, password, database } = options.spec
    return new PreparedPostgres(
      server,
      await PostgresAdmin.open({ ...server.address, user, password, database }),
      options,
    )
  }

  /**
   * Looks again at what the templates are made from; those that changed, and those on top of them, are made anew. Where
   * a file is missing, requests for a database fail with that until it is there again.
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

  /** The databases to lease, once the server is prepared. */
  get databases(): DatabaseSource | undefined {
    return this.#servers ?? this.#databases
  }

  /** How many of them there may be at once; servers are as many as their pool has. */
  get limit(): LeaseLimit | undefined {
    return this.#servers ? undefined : this.#limit
  }

  /** What to type to look into one of its databases. */
  commandFor(database: string): string {
    const { address, container } = this.#server
    return psqlCommand({ ...address, user: this.#spec.user, database }, container)
  }

  /** Waits for what the next run will be glad of, but not for long. */
  async settle(letGo: AbortSignal): Promise<void> {
    await this.#taking?.settle(SNAPSHOT_PATIENCE_MS, letGo)
  }

  /** Waits until nothing of it is left, but for a snapshot no longer than until `letGo` aborts. */
  async close(letGo?: AbortSignal): Promise<void> {
    this.#closing.abort()
    await this.#taking?.end(letGo)
    await Promise.all([this.#servers?.close(), this.#admin.close()])
  }

  /** Fills the server, and has databases made to lease. */
  async prepare(): Promise<void> {
    const { address, freeBytes, logTail, snapshot, noteForNextRun } = this.#server
    const { user, password, database } = this.#spec
    const { runId, workers, report, clock } = this.#context
    const admin = this.#admin
    const templates = this.#templates
    const inherited =
      snapshot.kind === 'attached'
        ? await verifyAttached(admin, {
            database,
            template: templates.databaseOf(DEFAULT_TEMPLATE),
            wanted: this.#wanted(),
            note: snapshot.note,
          })
        : undefined
    if (inherited?.isCleared) {
      // Also if nothing comes of this run.
      noteForNextRun?.(await notePostgres(admin, database))
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
      freeBytes(),
      this.#fillMain(admin, { template, snapshot, resetter }),
    ])
    if (noteForNextRun && !inherited?.templates.includes(template)) {
      noteForNextRun(await notePostgres(admin, database))
    }
    this.#limit = limitDatabases({ ...capacity, freeBytes: free, workers })
    const isOwnServer = this.#spec.isolation === 'server'
    const target = isOwnServer ? 0 : workers + 1
    const log = new FailureLog({
      admin,
      read: logTail,
      parse: createLogParser(this.#spec.settings['log_line_prefix'] ?? LOG_LINE_PREFIX),
      redact: (line) => redact(line, { user, password }),
      clock,
    })
    const countUse = (name?: string) => admin.countUse(name)
    this.#databases = new Databases({ admin, templates, runId, clock, target, reset, log, countUse })
    // In parallel with the rest of the start; the first request reports a failure.
    void (isOwnServer ? this.#startServers(this.#databases) : this.#databases.warm(DEFAULT_TEMPLATE)).catch(() => {})
    if (noteForNextRun) {
      // What cannot be done now is left to the next run.
      void this.#tidyUp(inherited, template).catch(() => {})
    }
  }

  /** For the next run, in the background; if this run ends first, the next one does it. */
  async #tidyUp(inherited: PostgresSurvey | undefined, template: string): Promise<void> {
    const { leftovers = [] } = inherited ?? {}
    if (leftovers.length <= LEFTOVERS_BORNE) {
      await this.#context.clock.sleep(TIDYING_DELAY_MS, this.#closing.signal)
    }
    if (inherited) {
      await dropLeftovers(this.#admin, inherited, this.#wanted())
      // Databases that are gone by now may have been the last to have something of them.
      await this.#serverWide.dropAside()
    }
    // No other run could use one of a template that this run alone knows.
    if (this.#spec.database !== this.#admin.address.database && this.#isRepeatable(DEFAULT_TEMPLATE)) {
      await makeSpare(this.#admin, template)
    }
  }

  /** Servers to lease, which start as copies of this one with all templates built. */
  async #startServers(main: Databases): Promise<void> {
    const { address, version, instances, takeBase } = this.#server
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
        // One that cannot be built is tried again on the server of the file that wants it, which reports the failure.
        await Promise.allSettled(this.#plans.map(async ({ name }) => this.#templates.ensure(name)))
        await this.#admin.checkpoint()
        await takeBase()
      },
      // What they find is no news.
      createTemplates: (admin) =>
        new Templates({ admin, plans: this.#plans, serverVersion: version, runId, report: () => {}, clock }),
      report,
    })
    await this.#servers.renew()
  }

  /** The data is copied here, before the server is used; the rest is done in the background. */
  async #takeSnapshot(admin: PostgresAdmin, templates: Templates, { folder, keep }: MissingSnapshot): Promise<void> {
    const { report, clock } = this.#context
    if (this.#isRepeatable(DEFAULT_TEMPLATE)) {
      await this.#fillNew(admin, await templates.ensure(DEFAULT_TEMPLATE))
    }
    const copying = this.#buildRepeatable(templates).then(() => copyPostgresData(admin.address, folder))
    // The run does without it, and reports the reason at its end.
    await copying.catch(() => {})
    const take: KeepSnapshot = async (...signals) => {
      await copying
      await sealPostgresCopy(admin.address, folder)
      await keep(...signals)
    }
    this.#taking = new SnapshotTaking(take, { service: 'postgres', report, clock })
  }

  /** Every template that a snapshot may hold: one that is left out would be built in each run that needs it. */
  async #buildRepeatable(templates: Templates): Promise<void> {
    const names = this.#plans.flatMap(({ name, isRepeatable }) => (isRepeatable ? [name] : []))
    // All of them settle before a failure leaves, so that none is at work while the data is copied or tests run.
    const outcomes = await Promise.allSettled(names.map((name) => templates.ensure(name)))
    const failed = names.filter((_, index) => outcomes[index]?.status === 'rejected')
    if (failed.length > 0) {
      throw new Error(`template "${failed.join('", "')}" could not be built`)
    }
  }

  /** The databases of all templates. */
  #wanted(): readonly string[] {
    return this.#plans.map(({ name }) => this.#templates.databaseOf(name))
  }

  #isRepeatable(template: string): boolean {
    return this.#plans.some(({ name, isRepeatable }) => name === template && isRepeatable)
  }

  /** The main database, which the image created empty or an earlier run has used, becomes a clone of the default template. */
  async #fillMain(admin: PostgresAdmin, { template, snapshot, resetter }: MainFilling): Promise<void> {
    const { database } = this.#spec
    if (snapshot.kind === 'attached') {
      await (database === admin.address.database
        ? resetter.resetMain(database, template)
        : renewMain(admin, { database, template, runId: this.#context.runId }))
    } else if (snapshot.kind === 'none' || !this.#isRepeatable(DEFAULT_TEMPLATE)) {
      await this.#fillNew(admin, template)
    }
  }

  /** As the image has created it: empty. A snapshot has it filled. */
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
