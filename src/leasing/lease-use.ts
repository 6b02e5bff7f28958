import type { ChangedVariable } from '../environment/changed-variables.ts'
import type { Clock } from '../internal/clock.ts'
import { redact } from '../internal/redact.ts'
import type { Counts, LeasedService, Use } from './lease-source.ts'

/**
 * Timeout for reading a server's counters. A busy server takes less time. After the timeout, the use of the server is
 * unknown.
 */
const ANSWER_TIMEOUT_MS = 10_000

/** Reads from a server how much it has been used so far. */
export type Look = () => Promise<Use>

export interface LeasedFile {
  readonly project: string
  readonly owner: string
  /** The function that reads the counters, for each leased service whose use can be counted. */
  readonly looks: Partial<Record<LeasedService, Look>>
  /** Whether the file leases nothing and uses the main servers. */
  readonly isSharing: boolean
  /** Whether the next file gets the leased items as this one left them. */
  readonly reuse: boolean
}

/** Findings about the use of leases, which are reported when the tests have run. */
export interface UseFindings {
  /** Files that never connected to their leased items, while the main servers were in use. */
  readonly strayed: readonly {
    readonly service: LeasedService
    readonly owners: readonly string[]
    readonly common: readonly string[]
  }[]
  /** Services to which no file has connected. */
  readonly unused: readonly LeasedService[]
  /** Variables that the code of test files has changed before their tests ran. */
  readonly changed: readonly FilesVariable[]
  /** Projects whose files use the main database; empty if there is only one project. */
  readonly sharing: readonly string[]
}

/** A changed variable, and the files that changed it. */
export interface FilesVariable extends ChangedVariable {
  readonly owners: readonly string[]
}

interface OpenFile {
  readonly file: LeasedFile
  readonly watched: readonly { readonly service: ServiceUse; readonly window: Window }[]
  readonly used: Set<ServiceUse>
}

/** The counters at the time when a file began. */
interface Window {
  readonly look: Look
  readonly before: number
  readonly common: Promise<Counts>
}

/**
 * Finds test files that connect to servers or databases other than those they leased, by comparing the servers' usage
 * counters.
 */
export class LeaseUse {
  readonly #services = new Map<LeasedService, ServiceUse>()
  readonly #files = new Map<number, OpenFile>()
  readonly #ending = new Set<Promise<void>>()
  readonly #projects = new Set<string>()
  readonly #sharing = new Set<string>()
  /** The changed variables by name, each with the value of its first change. */
  readonly #changed = new Map<string, ChangedVariable & { readonly owners: Set<string> }>()
  readonly #clock: Clock
  #begun: Promise<void> | undefined
  #isDisturbed = false

  /**
   * @param common by service, the function that reads the use of items that all files share; a missing service is not
   * watched
   */
  constructor(common: Partial<Record<LeasedService, Look>>, clock: Clock) {
    this.#clock = clock
    for (const [name, look] of Object.entries(common) as [LeasedService, Look][]) {
      this.#services.set(name, new ServiceUse(this.#within(look)))
    }
  }

  /** Reads the counters for the first time. Call it before the user's code connects to a service. */
  async open(): Promise<void> {
    await this.#each((service) => service.open())
  }

  /**
   * Reads the counters again, so that use by global setups does not count as use by files. Await it before the first
   * lease is granted.
   */
  begin(): Promise<void> {
    return (this.#begun ??= this.#each((service) => service.refresh()))
  }

  /** Begins to watch a file. Call it before the file can connect to its leased items. */
  add(lease: number, file: LeasedFile): void {
    this.#projects.add(file.project)
    if (file.isSharing) {
      this.#sharing.add(file.project)
    }
    const watched = this.#watchedBy(file).map(({ service, look }) => ({ service, window: service.begin(look, 0) }))
    this.#files.set(lease, { file, watched, used: new Set() })
  }

  /** Marks a service as used by a file, for use that the counters of the file's own lease do not show. */
  markUsed(lease: number, name: LeasedService): void {
    const service = this.#services.get(name)
    if (service) {
      this.#files.get(lease)?.used.add(service)
    }
  }

  /**
   * Stops watching a file; call it when the file has ended. If it returns a promise, keep the leased items until that
   * promise has resolved. The promise never rejects.
   */
  end(lease: number): Promise<void> | undefined {
    const open = this.#files.get(lease)
    this.#files.delete(lease)
    const looking = open && open.watched.length > 0 ? this.#close(open) : undefined
    return open?.file.reuse ? undefined : looking
  }

  /** Ends the use by one file, calls `reset`, and begins the use by the next file of the same worker. */
  async hand(
    lease: number,
    { owner, reset }: { readonly owner: string; readonly reset: () => Promise<void> },
  ): Promise<void> {
    const open = this.#files.get(lease)
    await this.end(lease)
    await reset()
    if (open) {
      const file = { ...open.file, owner }
      const watched = await Promise.all(this.#watchedBy(file).map(({ service, look }) => service.beginUsed(look)))
      this.#files.set(lease, { file, watched: watched.flat(), used: new Set() })
    }
  }

  /** Records that the code of a file has changed variables of its lease. */
  noteChanged(owner: string, variables: readonly ChangedVariable[]): void {
    for (const variable of variables) {
      const known = this.#changed.get(variable.name) ?? { ...withoutPassword(variable), owners: new Set() }
      known.owners.add(owner)
      this.#changed.set(variable.name, known)
    }
  }

  /**
   * Reads the counters once more, then ignores later use, which is not that of tests. Call it when the tests have run.
   */
  freeze(): Promise<void> {
    return this.#each((service) => service.freeze())
  }

  /** Counts use again. Call it before the tests run again. */
  thaw(): void {
    this.#services.forEach((service) => service.thaw())
  }

  /**
   * Suppresses the findings that depend on counters. Call it when a server was lost, because its counters are lost,
   * too.
   */
  disturb(): void {
    this.#isDisturbed = true
  }

  /** Resolves to the findings, including those about files that have not ended yet. */
  async finish(): Promise<UseFindings> {
    await (this.#begun && this.freeze())
    ;[...this.#files.keys()].forEach((lease) => void this.end(lease))
    await Promise.all(this.#ending)
    // If a project uses the main servers on purpose, their use does not show that other projects use them by mistake.
    const isTelling = this.#begun && !this.#isDisturbed && this.#sharing.size === 0
    const services = isTelling ? [...this.#services] : []
    return {
      strayed: services.flatMap(([service, use]) => use.strayed.map((some) => ({ service, ...some }))),
      unused: services.filter(([, use]) => use.isUnused).map(([service]) => service),
      changed: [...this.#changed.values()].map((variable) => ({
        ...variable,
        owners: [...variable.owners].toSorted(),
      })),
      sharing: this.#projects.size > 1 ? [...this.#sharing].toSorted() : [],
    }
  }

  #watchedBy({ looks }: LeasedFile) {
    return (Object.entries(looks) as [LeasedService, Look][]).flatMap(([name, look]) => {
      const service = this.#services.get(name)
      return service ? [{ service, look: this.#within(look) }] : []
    })
  }

  #close({ file, watched, used }: OpenFile): Promise<void> {
    const ending: Promise<void> = Promise.all(
      watched.map(({ service, window }) => service.end(window, { owner: file.owner, isUsed: used.has(service) })),
    ).then(() => void this.#ending.delete(ending))
    this.#ending.add(ending)
    return ending
  }

  async #each(work: (service: ServiceUse) => Promise<void>): Promise<void> {
    await Promise.all([...this.#services.values()].map(work))
  }

  #within(look: Look): Look {
    return async () => {
      const answered = new AbortController()
      const late = this.#clock.sleep(ANSWER_TIMEOUT_MS, answered.signal).then(() => {
        throw new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)
      })
      late.catch(() => {})
      return Promise.race([look(), late]).finally(() => answered.abort())
    }
  }
}

/** The use of one service in a run. */
class ServiceUse {
  readonly #common: Look
  readonly #stray = new Map<string, Counts>()
  #opened: Counts | undefined
  #latest: Counts = new Map()
  #othersOpened = 0
  #others = 0
  #isFrozen = false
  #isKnown = true
  #isUsed = false
  #files = 0
  #looking: Promise<void> = Promise.resolve()

  constructor(common: Look) {
    this.#common = common
  }

  get strayed(): { owners: readonly string[]; common: readonly string[] }[] {
    const common = new Set([...this.#stray.values()].flatMap((used) => [...used.keys()]))
    return this.#stray.size > 0 ? [{ owners: [...this.#stray.keys()].toSorted(), common: [...common].toSorted() }] : []
  }

  /** Whether the service was certainly not used, neither by files nor by global setups. */
  get isUnused(): boolean {
    const opened = this.#opened
    const isCommonUsed = !opened || [...this.#latest].some(([name, count]) => count > (opened.get(name) ?? 0))
    const isUsed = this.#isUsed || isCommonUsed || this.#others > this.#othersOpened
    return this.#files > 0 && this.#isKnown && !isUsed
  }

  async open(): Promise<void> {
    await this.refresh()
    this.#opened = this.#latest
    this.#othersOpened = this.#others
  }

  async refresh(): Promise<void> {
    await this.#try(async () => this.#note(await this.#common()))
  }

  async freeze(): Promise<void> {
    if (!this.#isFrozen) {
      await this.refresh()
      this.#isFrozen = true
    }
  }

  thaw(): void {
    this.#isFrozen = false
  }

  begin(look: Look, before: number): Window {
    this.#files += 1
    // A worker of a vm pool begins its next file as soon as it has released a lease. The counters for its last file may
    // not be read yet.
    return { look, before, common: this.#looking.then(() => this.#latest) }
  }

  /**
   * Begins the use of items that already had connections, for example from a reset. Resolves to an empty array if these
   * cannot be counted.
   */
  async beginUsed(look: Look): Promise<{ service: ServiceUse; window: Window }[]> {
    let window: Window | undefined
    await this.#try(async () => {
      const use = await look()
      this.#note(use)
      window = this.begin(look, use.connections)
    })
    return window ? [{ service: this, window }] : []
  }

  async end(window: Window, { owner, isUsed }: { owner: string; isUsed: boolean }): Promise<void> {
    this.#isUsed ||= isUsed
    if (isUsed) {
      // The file may have stopped its server, and then the counters cannot be read.
      return
    }
    this.#looking = this.#try(async () => {
      const { look, before } = window
      const common = await window.common
      const use = await look()
      this.#note(use)
      this.#isUsed ||= use.connections !== before
      const used = growth(common, this.#latest)
      if (use.connections === before && used.size > 0) {
        this.#stray.set(owner, used)
      }
    })
    await this.#looking
  }

  #note({ common, others = 0 }: Use): void {
    if (!this.#isFrozen) {
      this.#latest = new Map([...this.#latest, ...common])
      this.#others = others
    }
  }

  /** Calls `work`. After a failure the use is unknown, so the service is not reported as unused. */
  async #try(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch {
      this.#isKnown = false
    }
  }
}

function withoutPassword(variable: ChangedVariable): ChangedVariable {
  return { ...variable, value: redact(variable.value, { user: undefined, password: undefined }) }
}

/**
 * Returns the counts that have grown. A count without an earlier value is left out, because it belongs to an item that
 * tests have created.
 */
function growth(before: Counts, after: Counts): Counts {
  return new Map([...after].filter(([name, count]) => count > (before.get(name) ?? Infinity)))
}
