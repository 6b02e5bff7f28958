import { Databases } from '../databases/databases.ts'
import type { PostgresPlace } from '../leasing/lease-broker.ts'
import { connectionsOfRun, type LeaseLimit, limitSharedDatabases } from '../leasing/lease-limit.ts'
import { planTemplates } from '../databases/plan-templates.ts'
import { sweepDatabases } from './sweep-databases.ts'
import { type TemplatePlan, type TemplateSource, unplannedTemplates } from '../databases/templates.ts'
import { prefixOf } from '../services/database-names.ts'
import { definePostgres, loadPostgres, psqlCommand } from '../services/postgres.ts'
import type { RunClaim } from './run-claim.ts'
import type { HealthyServer, ServiceDefinition } from '../services/service.ts'
import { DEFAULT_TEMPLATE, type ResolvedPostgres } from '../config/resolve-spec.ts'
import { notGivenBack } from './not-given-back.ts'
import { awaitRoom, holdWhenPossible } from './postgres-room.ts'
import type { PartContext } from '../leasing/part-context.ts'
import { openSharedDatabases } from './shared-databases.ts'
import type { SharedPlace } from './shared-place.ts'
import { openSharedSchemas } from './shared-schemas.ts'

const SESSIONS_MS = 250

/** All that a run has of a server that is there already, once it is prepared. */
interface Prepared {
  readonly shared: SharedPlace
  readonly databases: Databases
  readonly limit: LeaseLimit
  readonly main: PostgresPlace
  readonly sweeping: Promise<void>
}

/**
 * PostgreSQL in a stack whose server was there before the run and outlives it: others use it as well, so that what the
 * run may touch is claimed and marked, and is dropped at its end.
 */
export class ExternalPostgresPart {
  readonly definition: ServiceDefinition
  readonly #spec: ResolvedPostgres
  readonly #context: PartContext
  #plans: readonly TemplatePlan[]
  #opened: { readonly shared: SharedPlace; readonly claim: RunClaim } | undefined
  #prepared: Prepared | undefined
  readonly #abort = new AbortController()
  #closing: Promise<void> | undefined

  private constructor(spec: ResolvedPostgres, plans: readonly TemplatePlan[], context: PartContext) {
    this.#spec = spec
    this.#plans = plans
    this.#context = context
    this.definition = { ...definePostgres(spec), prepare: (server) => this.#prepare(server) }
  }

  static plan(spec: ResolvedPostgres, context: PartContext): ExternalPostgresPart {
    return new ExternalPostgresPart(spec, planTemplates(spec.templates, context.root), context)
  }

  get databases(): Databases | undefined {
    return this.#prepared?.databases
  }

  get limit(): LeaseLimit | undefined {
    return this.#prepared?.limit
  }

  /** Used in place of the main database; the one that a URL names is not touched. */
  get main(): PostgresPlace | undefined {
    return this.#prepared?.main
  }

  async refresh(): Promise<void> {
    if (this.#prepared) {
      const { databases, shared } = this.#prepared
      await databases.useTemplates(this.#planAnew(shared))
    }
  }

  /** Where a file is missing, requests for a database fail with that until it is there again. */
  #planAnew(shared: SharedPlace): TemplateSource {
    try {
      this.#plans = planTemplates(this.#spec.templates, this.#context.root)
      return shared.createTemplates(this.#plans)
    } catch (reason) {
      return unplannedTemplates(reason)
    }
  }

  commandFor(database: string): string {
    const { host = 'localhost', port = 0 } = this.#spec.server ?? {}
    const place = { database, ...this.#prepared?.shared.addressOf?.(database) }
    const command = psqlCommand({ host, port, user: this.#spec.user, database: place.database })
    return place.schema === undefined ? command : `PGOPTIONS='-c search_path=${place.schema}' ${command}`
  }

  async settle(_letGo: AbortSignal): Promise<void> {}

  load(): Promise<void> {
    return loadPostgres()
  }

  /** Waits for room no longer; when the leases are back, drops what the run has made, but for templates, which are for all. */
  close(leasesBack: Promise<void>, _letGo?: AbortSignal): Promise<void> {
    this.#abort.abort()
    this.#closing ??= leasesBack.then(() => this.#close())
    return this.#closing
  }

  async #close(): Promise<void> {
    const { shared, claim } = this.#opened ?? {}
    if (!shared || !claim) {
      return
    }
    const { admin, marked } = shared
    try {
      await this.#prepared?.sweeping
      await this.#closeDatabases(shared)
      const own = (await marked.list()).filter(({ run }) => run === this.#context.runId)
      await Promise.all(own.map(({ name }) => admin.dropDatabase(name, { force: true })))
    } catch (error) {
      throw notGivenBack('postgres', 'databases', error)
    } finally {
      // The claim last: without it, another run would take this one for dead.
      await admin.close()
      await claim.close()
    }
  }

  /** A drop that is not by force waits seconds for a worker that had just begun to connect when the run was ended. */
  async #closeDatabases({ marked }: SharedPlace): Promise<void> {
    const { runId, clock } = this.#context
    // What cannot be dropped here is reported when the rest is dropped.
    const closing = this.#prepared?.databases.close().catch(() => {})
    const closed = Promise.resolve(closing).then(() => true)
    do {
      await marked.endSessions(runId)
    } while (!(await Promise.race([closed, clock.sleep(SESSIONS_MS).then(() => false)])))
  }

  async #prepare({ address, version }: HealthyServer): Promise<void> {
    const { user, password, database, server } = this.#spec
    const { runId, workers, report, clock } = this.#context
    const place = { ...server, ...address, user, password, database }
    const { signal } = this.#abort
    const claim = await holdWhenPossible(place, { runId, connections: connectionsOfRun(workers), clock, signal })
    const open = this.#spec.isolation === 'schema' ? openSharedSchemas : openSharedDatabases
    const shared = await open(place, { claim, version, context: this.#context })
    this.#opened = { shared, claim }
    const { admin, marked } = shared
    if (!(await marked.mayCreate())) {
      throw shared.refusal()
    }
    const room = await awaitRoom(claim, { clock, report, signal })
    const templates = shared.createTemplates(this.#plans)
    const main = `${prefixOf(runId)}main`
    await admin.createDatabase(main, await templates.ensure(DEFAULT_TEMPLATE))
    const { reset, addressOf } = shared
    const target = workers + 1
    const databases = new Databases({ admin, templates, runId, clock, target, reset, ...(addressOf && { addressOf }) })
    this.#prepared = {
      shared,
      databases,
      limit: limitSharedDatabases({ ...room, workers }),
      main: addressOf?.(main) ?? { database: main },
      // In the background: no test needs it. The next run tries again what cannot be dropped now.
      sweeping: sweepDatabases({ admin, claim, marked, runId }).catch(() => {}),
    }
    void databases.warm(DEFAULT_TEMPLATE).catch(() => {})
  }
}
