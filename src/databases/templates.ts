import type { PostgresAddress } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import { digest } from '../internal/digest.ts'
import type { Report } from '../report/events.ts'
import { nameTemplate } from '../internal/names.ts'
import { templateUnknown } from '../config/rules.ts'
import { type PostgresAdmin, sqlState } from '../services/postgres-admin.ts'
import type { ServerObjects } from '../services/postgres-survey.ts'
import { type ServerWide, without } from '../services/server-wide.ts'

const DISCONNECT_TIMEOUT_MS = 2_000
const DISCONNECT_POLL_MS = 20
const CREATE_ATTEMPTS = 3

/** Describes how to build a named template. */
export interface TemplatePlan {
  readonly name: string
  /** Name of the template from which this one is cloned before its steps run; undefined for an empty database. */
  readonly from: string | undefined
  /** Digest of the content and order of all steps, except the steps of `from`. */
  readonly inputs: string
  /** Absolute paths of all files and folders that the steps read. */
  readonly files: readonly string[]
  /** Whether the template has no steps. */
  readonly isEmpty: boolean
  /** Whether equal inputs also produce an equal template in another run. */
  readonly isRepeatable: boolean
  /**
   * Whether the template contains only the first steps of another one, which extends it. Such a template is never
   * leased.
   */
  readonly isBeginning?: boolean
  /** Runs the steps in the database at `address`. */
  readonly build: (address: PostgresAddress) => Promise<void>
}

export interface TemplatesOptions {
  readonly admin: PostgresAdmin
  readonly plans: readonly TemplatePlan[]
  /** The server's version. It is part of the fingerprint, as a template is valid for one server version only. */
  readonly serverVersion: string
  /** Id of the run, which is part of the name of each template that only this run can use. */
  readonly runId: string
  readonly report: Report
  readonly clock: Clock
  /**
   * Tracks the server-wide objects that steps create on a managed server. If undefined, such objects are not removed.
   */
  readonly serverWide?: ServerWide
  /** Called before the server is searched for a template; prevents other runs from dropping it. */
  readonly hold?: (database: string) => Promise<void>
}

/** Provides the templates from which leased databases are cloned. */
export interface TemplateSource {
  /** Builds the template if necessary; resolves to the name of its database. */
  ensure(name: string): Promise<string>
  /** Returns the database name to which {@link ensure} resolves. */
  databaseOf(name: string): string
}

/** Builds the templates of one server. Each is built once per fingerprint, by the first process that needs it. */
export class Templates implements TemplateSource {
  readonly #admin: PostgresAdmin
  readonly #plans: readonly TemplatePlan[]
  readonly #serverVersion: string
  readonly #runId: string
  readonly #report: Report
  readonly #clock: Clock
  readonly #serverWide: ServerWide | undefined
  readonly #hold: TemplatesOptions['hold']
  /** Builds in progress. If two overlap, a new server-wide object cannot be attributed to either. */
  readonly #builds = new Set<{ isAlone: boolean }>()
  #clearing: Promise<unknown> | undefined
  readonly #ensured = new Map<string, Promise<string>>()

  constructor({ admin, plans, serverVersion, runId, report, clock, serverWide, hold }: TemplatesOptions) {
    this.#report = report
    this.#admin = admin
    this.#plans = plans
    this.#serverVersion = serverVersion
    this.#runId = runId
    this.#clock = clock
    this.#serverWide = serverWide
    this.#hold = hold
  }

  /**
   * Resolves to the database name of a sealed template. Builds the template if the server has none with this
   * fingerprint.
   */
  ensure(name: string): Promise<string> {
    const known = this.#ensured.get(name)
    if (known) {
      return known
    }
    const ensured = this.#ensure(this.#planOf(name)).catch((error: unknown) => {
      this.#ensured.delete(name)
      throw error
    })
    this.#ensured.set(name, ensured)
    return ensured
  }

  /**
   * Returns the database name of a template. The name contains a fingerprint of all inputs and of the server's version.
   * If no other run could use the template, the name also contains the run's id, and the template is dropped with the
   * run.
   */
  databaseOf(name: string): string {
    const plan = this.#planOf(name)
    return nameTemplate(this.#fingerprint(plan), plan.isRepeatable ? undefined : this.#runId)
  }

  async #ensure(plan: TemplatePlan): Promise<string> {
    const from = plan.from === undefined ? undefined : this.#planOf(plan.from)
    const requestedMs = this.#clock.now()
    const source = from && (await this.ensure(from.name))
    const beganMs = from?.isBeginning ? requestedMs : this.#clock.now()
    const database = this.databaseOf(plan.name)
    await this.#hold?.(database)
    const isNew = await this.#build(plan, database, source)
    const elapsedMs = this.#clock.now() - beganMs
    if (!plan.isBeginning) {
      this.#report({ type: 'template-ready', template: plan.name, isNew, elapsedMs })
    }
    return database
  }

  /** Builds a template unless the server has it; returns whether it was built. */
  async #build(plan: TemplatePlan, database: string, source: string | undefined): Promise<boolean> {
    if ((await this.#admin.templateState(database)) === 'sealed') {
      return false
    }
    return this.#admin.withLock(database, async () => {
      // The state is checked again, as another process may have built the template while this one waited for the lock.
      if ((await this.#admin.templateState(database)) === 'sealed') {
        return false
      }
      // Server-wide objects of outdated templates would conflict with those of this one.
      await (this.#clearing ??= this.#clear())
      await this.#recreate(database, source)
      const build = { isAlone: this.#builds.size === 0 }
      this.#builds.forEach((other) => (other.isAlone = false))
      this.#builds.add(build)
      const before = await this.#serverWide?.list()
      try {
        await plan.build({ ...this.#admin.address, database })
        await this.#awaitDisconnect(plan.name, database)
        await this.#recordCreated(database, before)
        await this.#admin.sealTemplate(database)
      } catch (error) {
        // Corrected inputs change the fingerprint, so this database is no longer needed. The drop is not forced, as
        // this process may be connected.
        await this.#admin.dropDatabase(database, { force: false }).catch(() => {})
        if (build.isAlone) {
          await this.#removeCreated(before).catch(() => {})
        }
        throw error
      } finally {
        this.#builds.delete(build)
      }
      return true
    })
  }

  /**
   * Removes the server-wide objects of other templates. Ignores failures: the build that conflicts with a remaining
   * object reports it.
   */
  async #clear(): Promise<void> {
    await this.#serverWide?.clear(this.#plans.map(({ name }) => this.databaseOf(name))).catch(() => {})
  }

  async #recordCreated(database: string, before: ServerObjects | undefined): Promise<void> {
    if (this.#serverWide && before) {
      await this.#serverWide.note(database, without(await this.#serverWide.list(), before))
    }
  }

  async #removeCreated(before: ServerObjects | undefined): Promise<void> {
    if (this.#serverWide && before) {
      await this.#serverWide.remove(without(await this.#serverWide.list(), before))
    }
  }

  /**
   * Drops and creates the database. Retries, as the server may complete the CREATE DATABASE of a killed process between
   * our drop and our create.
   */
  async #recreate(database: string, source: string | undefined): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      await this.#admin.dropDatabase(database, { force: true })
      try {
        await this.#admin.createDatabase(database, source)
        return
      } catch (error) {
        if (attempt === CREATE_ATTEMPTS || !isTaken(error)) {
          throw error
        }
      }
    }
  }

  /**
   * Waits until all connections to the database are closed, as a database with connections cannot be cloned. Some may
   * be connections of this process.
   */
  async #awaitDisconnect(name: string, database: string): Promise<void> {
    const deadlineMs = this.#clock.now() + DISCONNECT_TIMEOUT_MS
    for (;;) {
      const sessions = await this.#admin.sessionsOf(database)
      if (sessions.length === 0) {
        return
      }
      if (this.#clock.now() > deadlineMs) {
        throw new InfraError('INFRA_SEED_FAILED', {
          problem: `Cannot seal template "${name}": connections to it are still open, ${sessions.length} in all`,
          remedy: 'Close every client and pool that its migrations and seeds open, or use the pool that they receive',
          service: 'postgres',
        })
      }
      await this.#clock.sleep(DISCONNECT_POLL_MS)
    }
  }

  #fingerprint(plan: TemplatePlan): string {
    const from = plan.from === undefined ? this.#serverVersion : this.#fingerprint(this.#planOf(plan.from))
    return digest(`${from}\n${plan.inputs}`)
  }

  #planOf(name: string): TemplatePlan {
    return findPlan(this.#plans, name)
  }
}

/** Returns a source whose requests all reject with `reason`, for templates that cannot be planned. */
export function unplannedTemplates(reason: unknown): TemplateSource {
  return {
    ensure: () => Promise.reject(reason),
    databaseOf: () => '',
  }
}

/**
 * Returns the plan of a template.
 *
 * @throws InfraError if no template has this name
 */
function findPlan(plans: readonly TemplatePlan[], name: string): TemplatePlan {
  const plan = plans.find((known) => known.name === name)
  if (!plan) {
    throw templateUnknown(
      name,
      plans.flatMap((known) => (known.isBeginning ? [] : [known.name])),
    )
  }
  return plan
}

/** Returns the plan of a template and the plans of all templates below it, the lowest first. */
export function layersOf(plans: readonly TemplatePlan[], name: string): readonly TemplatePlan[] {
  const plan = findPlan(plans, name)
  return plan.from === undefined ? [plan] : [...layersOf(plans, plan.from), plan]
}

/** Whether the error means that the database exists, or that another process creates it at the same time. */
function isTaken(error: unknown): boolean {
  return ['42P04', '23505'].includes(sqlState(error) ?? '')
}
