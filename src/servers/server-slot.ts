import type { Address, ServerInstance } from '../services/service.ts'
import type { LeaseProxy } from './lease-proxy.ts'

/** Locks out clients that connect to a server's own port. */
export interface Lock {
  /** The only way to reach the server. */
  readonly proxy: LeaseProxy
  /** Additional arguments for the start of the server. */
  readonly args: readonly string[]
}

/** A server of a pool, with the known facts about clients of earlier leases. */
export interface ServerSlot {
  readonly instance: ServerInstance
  /** Owner of the last lease; undefined once its clients were reported. */
  owner: string | undefined
  /** Ids of child processes that were still running when the last lease ended. They may connect later. */
  processes: readonly number[]
  /** Whether the server stopped or closed connections during its lease. In this case, its clients try to reconnect. */
  isCut: boolean
  /** Whether clients of an earlier lease connect to the server's port, or may still connect. */
  hasOldClients: boolean
  /** Lock against clients of an earlier lease; undefined if there are none to lock out. */
  lock: Lock | undefined
}

export function createSlot(instance: ServerInstance): ServerSlot {
  return { instance, owner: undefined, processes: [], isCut: false, hasOldClients: false, lock: undefined }
}

/** Returns the address for the next user of the server. */
export function addressOf({ instance, lock }: ServerSlot): Address {
  return lock?.proxy.address ?? instance.address
}
