import { BackgroundTasks } from '../internal/background-tasks.ts'
import type { Clock } from '../internal/clock.ts'
import { isRunning } from '../internal/is-running.ts'
import type { Address, ClientCount } from '../services/service.ts'
import type { ReleaseInfo } from '../leasing/lease-source.ts'
import { countLeft } from '../databases/left-clients.ts'
import type { Lock, ServerSlot } from './server-slot.ts'

/**
 * Time in milliseconds without connections after which all clients of an earlier lease count as gone. It is longer than
 * Redis clients and queues pause between two connection attempts.
 */
const QUIET_MS = 30_000
const POLL_MS = 250

/** Counts the clients of servers that accept any client, and locks clients out. */
export interface Guard {
  /** Counts the clients of a server; rejects if the server does not answer. */
  readonly count: (address: Address) => Promise<ClientCount>
  /** Resets a server's client counter. */
  readonly resetCount: (address: Address) => Promise<void>
  /** Prepares the lock of a server that is about to start at this address. */
  readonly lock: (address: Address) => Promise<Lock>
  /** Called once for each ended lease whose clients still connect to its server. */
  readonly onClientsLeft: (owner: string) => void
}

export interface OldClientsOptions {
  readonly guard: Guard
  readonly clock: Clock
  /** Stops the polling when it aborts. */
  readonly signal: AbortSignal
  /** Called with each server to which clients of an earlier lease no longer connect. */
  readonly onQuiet: (slot: ServerSlot) => void
  /** Called when one more server is available from {@link OldClients.takeOccupied}. */
  readonly onOccupied: () => void
}

/**
 * Watches servers whose lease has ended. If clients of that lease still connect, the server keeps running until no
 * client has connected for a while. Thus the clients stay connected and can be counted.
 */
export class OldClients {
  readonly #options: OldClientsOptions
  /** Servers that are polled until no client connects to them. */
  readonly #occupied = new Set<ServerSlot>()
  readonly #settling = new BackgroundTasks()

  constructor(options: OldClientsOptions) {
    this.#options = options
  }

  /** Checks in the background whether clients of an ended lease are still connected to its server. */
  release(slot: ServerSlot, info: ReleaseInfo): void {
    this.#settling.add(this.#settle(slot, info))
  }

  /** Resolves when all ended leases have been checked. */
  settle(): Promise<void> {
    return this.#settling.settle()
  }

  /** Removes and returns a server to which clients of an earlier lease connect. The caller must lock it. */
  takeOccupied(): ServerSlot | undefined {
    const [slot] = this.#occupied
    if (slot) {
      this.#occupied.delete(slot)
    }
    return slot
  }

  /**
   * Resolves to true if a prepared server must not be leased, because a client has connected since it was prepared.
   * Such a server is then watched.
   */
  async refuse(slot: ServerSlot): Promise<boolean> {
    const isRefused = !slot.lock && (await this.#hasClients(slot))
    if (isRefused) {
      this.#report(slot)
      this.#watch(slot)
    }
    return isRefused
  }

  async #settle(slot: ServerSlot, info: ReleaseInfo): Promise<void> {
    const { clock, onQuiet } = this.#options
    // Child processes of a test file may exit together with it.
    await countLeft({ count: async () => countRunning(slot), clock }, info)
    const connected = await countLeft({ count: () => this.#countConnected(slot), clock }, info)
    if (connected) {
      this.#report(slot)
    }
    const { lock } = slot
    slot.lock = undefined
    lock?.proxy.close()
    // If the lease's process has exited, only its connected child processes can reconnect. For a stopped or locked
    // server, child processes cannot be detected.
    const isOver = connected === 0 && (info.isUserGone || !slot.isCut)
    if (!lock && isOver && countRunning(slot) === 0) {
      onQuiet(slot)
      return
    }
    // Clients of a stopped or locked server retry forever. After a restart the server accepts them, so that they can be
    // counted.
    await (connected === undefined || lock ? slot.instance.restart().catch(() => {}) : undefined)
    this.#watch(slot)
  }

  /** Counts connected clients; undefined if the server is down or requires a password. */
  async #countConnected(slot: ServerSlot): Promise<number | undefined> {
    if (slot.lock) {
      return slot.lock.proxy.clients
    }
    const count = await this.#options.guard.count(slot.instance.address).catch(() => undefined)
    slot.isCut ||= count !== undefined && count.kills > 0
    return count?.connected
  }

  async #hasClients(slot: ServerSlot): Promise<boolean> {
    const { guard, clock } = this.#options
    const found = await guard.count(slot.instance.address).catch(() => undefined)
    if (found === undefined || found.received > 0) {
      return found !== undefined
    }
    // Clients that connected before the last counter reset may still be connected. Our own connections are about to
    // close.
    const count = async () => (await this.#countConnected(slot)) ?? 0
    return found.connected > 0 && (await countLeft({ count, clock }, { isUserGone: false })) !== 0
  }

  #watch(slot: ServerSlot): void {
    slot.hasOldClients = true
    this.#occupied.add(slot)
    void this.#poll(slot)
    this.#options.onOccupied()
  }

  /** Polls a server until no client has connected for QUIET_MS, or until the server is taken. */
  async #poll(slot: ServerSlot): Promise<void> {
    const { clock, guard, signal, onQuiet } = this.#options
    const { address } = slot.instance
    let lastSeenMs = clock.now()
    while (!signal.aborted && this.#occupied.has(slot)) {
      const found = await guard.count(address).catch(() => undefined)
      await guard.resetCount(address).catch(() => {})
      if (found?.connected) {
        this.#report(slot)
      }
      const isOccupied = found === undefined || found.connected > 0 || found.received > 0
      if (isOccupied || countRunning(slot) > 0) {
        lastSeenMs = clock.now()
      } else if (clock.now() - lastSeenMs > QUIET_MS && this.#occupied.delete(slot)) {
        slot.hasOldClients = false
        onQuiet(slot)
        return
      }
      await clock.sleep(POLL_MS, signal).catch(() => {})
    }
  }

  #report(slot: ServerSlot): void {
    if (slot.owner !== undefined) {
      this.#options.guard.onClientsLeft(slot.owner)
      slot.owner = undefined
    }
  }
}

function countRunning({ processes }: ServerSlot): number {
  return processes.filter(isRunning).length
}
