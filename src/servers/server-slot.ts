import type { Address, ServerInstance } from '../services/service.ts'
import type { LeaseProxy } from './lease-proxy.ts'

/** Keeps clients away that connect to a server's own port. */
export interface Lock {
  /** The only way to reach the server. */
  readonly proxy: LeaseProxy
  /** Additional arguments for its start. */
  readonly args: readonly string[]
}

/** A server of a pool, and what is known about clients of earlier leases. */
export interface ServerSlot {
  readonly instance: ServerInstance
  /** Owner of the last lease; undefined once its clients were reported. */
  owner: string | undefined
  /** Ids of child processes that the last lease left running. They may connect later. */
  processes: readonly number[]
  /** Whether the server stopped, or closed connections, during its lease. Its clients then try to reconnect. */
  isCut: boolean
  /** Whether clients of an earlier lease connect to its port, or still may. */
  hasOldClients: boolean
  /** Present while clients of an earlier lease are kept out. */
  lock: Lock | undefined
}

export function createSlot(instance: ServerInstance): ServerSlot {
  return { instance, owner: undefined, processes: [], isCut: false, hasOldClients: false, lock: undefined }
}

/** The address that the next user gets. */
export function addressOf({ instance, lock }: ServerSlot): Address {
  return lock?.proxy.address ?? instance.address
}
