import type { ChangedVariable } from '../environment/changed-variables.ts'
import type { Clock } from '../internal/clock.ts'
import { redact } from '../internal/redact.ts'
import type { Counts, LeasedService, Use } from './lease-source.ts'

/** Longer than a busy server takes; one that does not answer says nothing about its use. */
const ANSWER_TIMEOUT_MS = 10_000

/** Asks how something was used so far. */
export type Look = () => Promise<Use>

export interface LeasedFile {
  readonly project: string
  readonly owner: string
  /** For each service of which it has leased something, if it can be asked. */
  readonly looks: Partial<Record<LeasedService, Look>>
  /** Whether it has leased nothing, but uses what is common, as its project wants it. */
  readonly isSharing: boolean
  /** Whether what it has leased is given back as it is, for the next one. */
  readonly reuse: boolean
}

/** What a run should know about the use of its leases. */
export interface UseFindings {
  /** Files that never connected to what they leased while there was use of what all share. */
  readonly strayed: readonly {
    readonly service: LeasedService
    readonly owners: readonly string[]
    readonly common: readonly string[]
  }[]
  /** Services without a connection. */
  readonly unused: readonly LeasedService[]
  /** The variables that files have changed before their tests ran. */
  readonly changed: readonly FilesVariable[]
  /** Projects whose files use the main database, in a run of several projects. */
  readonly sharing: readonly string[]
}

/** A variable that was changed, in these files. */
export interface FilesVariable extends ChangedVariable {
  readonly owners: readonly string[]
}

interface OpenFile {
  readonly file: LeasedFile
  readonly watched: readonly { readonly service: ServiceUse; readonly window: Window }[]
  readonly used: Set<ServiceUse>
}

/** What was counted when a file began. */
interface Window {
  readonly look: Look
  readonly before: number
  readonly common: Promise<Counts>
}

/** Notices files that connect to something else than what they leased, by what servers count. */
export class LeaseUse {
  readonly #services = new Map<LeasedService, ServiceUse>()
  readonly #files = new Map<number, OpenFile>()
  readonly #ending = new Set<Promise<void>>()
  readonly #projects = new Set<string>()
  readonly #sharing = new Set<string>()
  /** By name, with the value that was seen first. */
  readonly #changed = new Map<string, ChangedVariable & { readonly owners: Set<string> }>()
  readonly #clock: Clock
  #begun: Promise<void> | undefined
  #isDisturbed = false

  /** `common` asks for the use of what all files share; a service without it is not watched. */
  constructor(common: Partial<Record<LeasedService, Look>>, clock: Clock) {
    this.#clock = clock
    for (const [name, look] of Object.entries(common) as [LeasedService, Look][]) {
      this.#services.set(name, new ServiceUse(this.#within(look)))
    }
  }

  /** The counters before the user's code connected. */
  async open(): Promise<void> {
    await this.#each((service) => service.open())
  }

  /** To be awaited before the first file has its lease: what global setups did is not the files'. */
  begin(): Promise<void> {
    return (this.#begun ??= this.#each((service) => service.refresh()))
  }

  /** Its lease has no connection yet. */
  add(lease: number, file: LeasedFile): void {
    this.#projects.add(file.project)
    if (file.isSharing) {
      this.#sharing.add(file.project)
    }
    const watched = this.#watchedBy(file).map(({ service, look }) => ({ service, window: service.begin(look, 0) }))
    this.#files.set(lease, { file, watched, used: new Set() })
  }

  /** Says that a file has used a service in a way that is not seen from its own lease. */
  markUsed(lease: number, name: LeasedService): void {
    const service = this.#services.get(name)
    if (service) {
      this.#files.get(lease)?.used.add(service)
    }
  }

  /** Looks at what a file that is over has used. Returns what to await before that is gone; never rejects. */
  end(lease: number): Promise<void> | undefined {
    const open = this.#files.get(lease)
    this.#files.delete(lease)
    const looking = open && open.watched.length > 0 ? this.#close(open) : undefined
    return open?.file.reuse ? undefined : looking
  }

  /** Looks at it and lets the next file of its worker have the lease, which `reset` makes new. */
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

  /** The code of a file has changed variables of its lease. */
  noteChanged(owner: string, variables: readonly ChangedVariable[]): void {
    for (const variable of variables) {
      const known = this.#changed.get(variable.name) ?? { ...withoutPassword(variable), owners: new Set() }
      known.owners.add(owner)
      this.#changed.set(variable.name, known)
    }
  }

  /** What is counted from now on is not the tests': they have run. */
  freeze(): Promise<void> {
    return this.#each((service) => service.freeze())
  }

  /** The tests run again. */
  thaw(): void {
    this.#services.forEach((service) => service.thaw())
  }

  /** A server was lost, and with it what it had counted. */
  disturb(): void {
    this.#isDisturbed = true
  }

  /** Looks at the files that are not over yet, too. */
  async finish(): Promise<UseFindings> {
    await (this.#begun && this.freeze())
    ;[...this.#files.keys()].forEach((lease) => void this.end(lease))
    await Promise.all(this.#ending)
    // Where a project shares what is common on purpose, its use says nothing of the others.
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

  /** Whether it certainly had no use, from before global setups on. */
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
    // A worker of a vm pool gives back what its last file had, and begins the next one at once.
    return { look, before, common: this.#looking.then(() => this.#latest) }
  }

  /** On what others, such as a reset, have connected to before; nothing where that cannot be counted. */
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
      // A test may have stopped its server, too.
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

  /** Nothing is reported of what is not known. */
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

/** What has grown; what was not there before was made by the tests themselves. */
function growth(before: Counts, after: Counts): Counts {
  return new Map([...after].filter(([name, count]) => count > (before.get(name) ?? Infinity)))
}
