import type { PostgresAddress } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import { digest } from '../internal/digest.ts'
import type { Report } from '../report/events.ts'
import { nameTemplate } from '../services/database-names.ts'
import { templateUnknown } from '../config/rules.ts'
import { type PostgresAdmin, sqlState } from '../services/postgres-admin.ts'
import type { ServerObjects } from '../services/postgres-survey.ts'
import { type ServerWide, without } from '../services/server-wide.ts'

const LEAVE_LIMIT_MS = 2_000
const LEAVE_POLL_MS = 20
const CREATE_ATTEMPTS = 3

/** A named template: what it starts from, and what is done to it. */
export interface TemplatePlan {
  readonly name: string
  /** The template that this one is a clone of before its own steps run; none: an empty database. */
  readonly from: string | undefined
  /** Identifies content and order of all that goes in, without what it starts from. */
  readonly inputs: string
  /** Absolute paths of the files and folders that go in. */
  readonly files: readonly string[]
  /** Whether it adds nothing. */
  readonly isEmpty: boolean
  /** Whether equal inputs are sure to make an equal template, in another run too. */
  readonly isRepeatable: boolean
  /** Whether it is only the beginning of the template on top of it, and is never leased. */
  readonly isBeginning?: boolean
  /** Fills the database there. */
  readonly build: (address: PostgresAddress) => Promise<void>
}

export interface TemplatesOptions {
  readonly admin: PostgresAdmin
  readonly plans: readonly TemplatePlan[]
  /** A template is only good for the server that made it. */
  readonly serverVersion: string
  /** Identifies the run in the names of templates that no other run can use. */
  readonly runId: string
  readonly report: Report
  readonly clock: Clock
  /** What steps make outside of the database, on a server of our own; none: it stays. */
  readonly serverWide?: ServerWide
  /** Called before a template is looked for, so that no other run drops it. */
  readonly hold?: (database: string) => Promise<void>
}

/** What leases are made from. */
export interface TemplateSource {
  /** Resolves when leases can be made from it, to what they are made from. */
  ensure(name: string): Promise<string>
  /** What {@link ensure} would resolve to. */
  databaseOf(name: string): string
}

/** Templates of one server: each is built once per fingerprint, by whichever process comes first. */
export class Templates implements TemplateSource {
  readonly #admin: PostgresAdmin
  readonly #plans: readonly TemplatePlan[]
  readonly #serverVersion: string
  readonly #runId: string
  readonly #report: Report
  readonly #clock: Clock
  readonly #serverWide: ServerWide | undefined
  readonly #hold: TemplatesOptions['hold']
  /** Builds that are under way; what two make at once could be of either. */
  readonly #underWay = new Set<{ isAlone: boolean }>()
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

  /** The database of a sealed template, built now if the server has none of this fingerprint. */
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
   * The name of a template's database: its fingerprint over everything that went in, the server's version included. One
   * that another run could not know for its own bears the mark of this run, and goes with it.
   */
  databaseOf(name: string): string {
    const plan = this.#planOf(name)
    return nameTemplate(this.#fingerprint(plan), plan.isRepeatable ? undefined : this.#runId)
  }

  async #ensure(plan: TemplatePlan): Promise<string> {
    const from = plan.from === undefined ? undefined : this.#planOf(plan.from)
    const askedMs = this.#clock.now()
    const source = from && (await this.ensure(from.name))
    const beganMs = from?.isBeginning ? askedMs : this.#clock.now()
    const database = this.databaseOf(plan.name)
    await this.#hold?.(database)
    const isNew = await this.#build(plan, database, source)
    const elapsedMs = this.#clock.now() - beganMs
    if (!plan.isBeginning) {
      this.#report({ type: 'template-ready', template: plan.name, isNew, elapsedMs })
    }
    return database
  }

  /** Returns whether it had to be built. */
  async #build(plan: TemplatePlan, database: string, source: string | undefined): Promise<boolean> {
    if ((await this.#admin.templateState(database)) === 'sealed') {
      return false
    }
    return this.#admin.withLock(database, async () => {
      // Asked again: another process may have built it while this one waited for the lock.
      if ((await this.#admin.templateState(database)) === 'sealed') {
        return false
      }
      // What templates that are out of date have made would be in the way of this one.
      await (this.#clearing ??= this.#clear())
      await this.#createAnew(database, source)
      const build = { isAlone: this.#underWay.size === 0 }
      this.#underWay.forEach((other) => (other.isAlone = false))
      this.#underWay.add(build)
      const before = await this.#serverWide?.list()
      try {
        await plan.build({ ...this.#admin.address, database })
        await this.#awaitNobody(plan.name, database)
        await this.#noteMade(database, before)
        await this.#admin.sealTemplate(database)
      } catch (error) {
        // Once its inputs are corrected it is not needed again. Not by force: this very process may be connected to it.
        await this.#admin.dropDatabase(database, { force: false }).catch(() => {})
        if (build.isAlone) {
          await this.#removeMade(before).catch(() => {})
        }
        throw error
      } finally {
        this.#underWay.delete(build)
      }
      return true
    })
  }

  /** Failures are reported by the build that is blocked by what stays. */
  async #clear(): Promise<void> {
    await this.#serverWide?.clear(this.#plans.map(({ name }) => this.databaseOf(name))).catch(() => {})
  }

  async #noteMade(database: string, before: ServerObjects | undefined): Promise<void> {
    if (this.#serverWide && before) {
      await this.#serverWide.note(database, without(await this.#serverWide.list(), before))
    }
  }

  async #removeMade(before: ServerObjects | undefined): Promise<void> {
    if (this.#serverWide && before) {
      await this.#serverWide.remove(without(await this.#serverWide.list(), before))
    }
  }

  /** The server goes on with the statement of a builder that was killed, so what it makes may appear between the two. */
  async #createAnew(database: string, source: string | undefined): Promise<void> {
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

  /** A database with connections cannot be cloned; ending them could end this very process. */
  async #awaitNobody(name: string, database: string): Promise<void> {
    const deadlineMs = this.#clock.now() + LEAVE_LIMIT_MS
    for (;;) {
      const sessions = await this.#admin.sessionsOf(database)
      if (sessions.length === 0) {
        return
      }
      if (this.#clock.now() > deadlineMs) {
        throw new InfraError('INFRA_SEED_FAILED', {
          problem: `Cannot seal template "${name}": connections to it are still open, ${sessions.length} in all`,
          remedy: 'Close every client and pool that its migrations and seeds open, or use the pool that they are given',
          service: 'postgres',
        })
      }
      await this.#clock.sleep(LEAVE_POLL_MS)
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

/** Stands in for templates that cannot be planned: every request fails with the reason. */
export function unplannedTemplates(reason: unknown): TemplateSource {
  return {
    ensure: () => Promise.reject(reason),
    databaseOf: () => '',
  }
}

/** The plan of a template; throws if it is not defined. */
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

/** All that a template is made from, the lowest first. */
export function layersOf(plans: readonly TemplatePlan[], name: string): readonly TemplatePlan[] {
  const plan = findPlan(plans, name)
  return plan.from === undefined ? [plan] : [...layersOf(plans, plan.from), plan]
}

/** Whether a database existed already, or another run created it at the same time. */
function isTaken(error: unknown): boolean {
  return ['42P04', '23505'].includes(sqlState(error) ?? '')
}
