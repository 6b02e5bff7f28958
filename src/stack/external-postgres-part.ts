import { DatabaseResetter } from '../isolation/database-resetter.ts'
import { Databases } from '../isolation/databases.ts'
import { connectionsOfRun, type LeaseLimit, limitSharedDatabases } from '../isolation/lease-limit.ts'
import { planTemplates } from '../isolation/plan-templates.ts'
import { sweepDatabases } from '../isolation/sweep-databases.ts'
import { type TemplatePlan, Templates } from '../isolation/templates.ts'
import { InfraError } from '../errors.ts'
import { definePostgres, loadPostgres, psqlCommand } from '../services/postgres.ts'
import { PostgresAdmin } from '../services/postgres-admin.ts'
import type { RunClaim } from '../services/run-claim.ts'
import type { HealthyServer, ServiceDefinition } from '../services/service.ts'
import type { ResolvedPostgres } from '../spec/resolve-spec.ts'
import { notGivenBack } from './not-given-back.ts'
import { awaitRoom, holdWhenPossible } from './postgres-room.ts'
import type { PartContext } from './part-context.ts'

const DEFAULT = 'default'
const SESSIONS_MS = 250

/** All that a run has of a server that is there already, once it is prepared. */
interface Prepared {
  readonly admin: PostgresAdmin
  readonly claim: RunClaim
  readonly databases: Databases
  readonly limit: LeaseLimit
  readonly main: string
  readonly version: string
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
  #opened: { readonly admin: PostgresAdmin; readonly claim: RunClaim } | undefined
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

  get files(): readonly string[] {
    return this.#plans.flatMap(({ files }) => files)
  }

  get databases(): Databases | undefined {
    return this.#prepared?.databases
  }

  get limit(): LeaseLimit | undefined {
    return this.#prepared?.limit
  }

  /** What stands for the main database; the one that a URL names is not touched. */
  get main(): string | undefined {
    return this.#prepared?.main
  }

  async refresh(): Promise<void> {
    if (this.#prepared) {
      this.#plans = planTemplates(this.#spec.templates, this.#context.root)
      await this.#prepared.databases.useTemplates(this.#createTemplates(this.#prepared))
    }
  }

  commandFor(database: string): string {
    const { host = 'localhost', port = 0 } = this.#spec.server ?? {}
    return psqlCommand({ host, port, user: this.#spec.user, database })
  }

  async settle(): Promise<void> {}

  load(): Promise<void> {
    return loadPostgres()
  }

  /** Waits for room no longer; when the leases are back, drops what the run has made, but for templates, which are for all. */
  close(leasesBack: Promise<void>): Promise<void> {
    this.#abort.abort()
    this.#closing ??= leasesBack.then(() => this.#close())
    return this.#closing
  }

  async #close(): Promise<void> {
    const { admin, claim } = this.#opened ?? {}
    if (!admin || !claim) {
      return
    }
    try {
      await this.#prepared?.sweeping
      await this.#closeDatabases(claim)
      const marked = await claim.listMarked()
      const own = marked.filter(({ run }) => run === this.#context.runId)
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
  async #closeDatabases(claim: RunClaim): Promise<void> {
    const { runId, clock } = this.#context
    // What cannot be dropped here is told by the one that drops the rest.
    const closing = this.#prepared?.databases.close().catch(() => {})
    const closed = Promise.resolve(closing).then(() => true)
    do {
      await claim.endSessions(runId)
    } while (!(await Promise.race([closed, clock.sleep(SESSIONS_MS).then(() => false)])))
  }

  async #prepare({ address, version }: HealthyServer): Promise<void> {
    const { user, password, database, server } = this.#spec
    const { runId, workers, report, clock } = this.#context
    const place = { ...server, ...address, user, password, database }
    const admin = await PostgresAdmin.open(place, { isShared: true })
    const { signal } = this.#abort
    const claim = await holdWhenPossible(place, { runId, connections: connectionsOfRun(workers), clock, signal })
    this.#opened = { admin, claim }
    if (!(await claim.mayCreate())) {
      throw mayNotCreate(user, address)
    }
    const room = await awaitRoom(claim, { clock, report, signal })
    const templates = this.#createTemplates({ admin, claim, version })
    const main = `vitest_infra_${runId}_main`
    await admin.createDatabase(main, await templates.ensure(DEFAULT))
    const onDropped = (objects: readonly string[]) => report({ type: 'objects-dropped', objects })
    const resetter = new DatabaseResetter({ admin, prefix: `vitest_infra_${runId}_`, clock, onDropped })
    const reset = (name: string, source: string) => resetter.reset(name, source)
    const databases = new Databases({ admin, templates, runId, clock, target: workers + 1, reset })
    this.#prepared = {
      admin,
      claim,
      databases,
      limit: limitSharedDatabases({ ...room, workers }),
      main,
      version,
      // Behind the tests, who have no need of it. What cannot be dropped now is tried again by the next run.
      sweeping: sweepDatabases({ admin, claim, runId }).catch(() => {}),
    }
    void databases.warm(DEFAULT).catch(() => {})
  }

  #createTemplates({ admin, claim, version }: Pick<Prepared, 'admin' | 'claim' | 'version'>): Templates {
    const { report, clock } = this.#context
    const hold = (database: string) => claim.holdTemplate(database)
    // Another role could not use what is in the template of this one.
    const serverVersion = `${version} as ${this.#spec.user}`
    return new Templates({ admin, plans: this.#plans, serverVersion, report, clock, hold })
  }
}

function mayNotCreate(user: string, { host, port }: { host: string; port: number }): InfraError {
  return new InfraError('INFRA_ROLE_REFUSED', {
    problem: `Cannot use role "${user}" of the PostgreSQL on ${host}:${port}: it may not create databases`,
    remedy: `Have an administrator run: ALTER ROLE "${user.replaceAll('"', '""')}" CREATEDB`,
    service: 'postgres',
    provider: 'external',
  })
}
