import { InfraError } from '../errors.ts'
import { Turns } from '../internal/turns.ts'
import { runningChildren, watchChildren } from './child-processes.ts'
import { LeaseClient } from '../leasing/lease-client.ts'
import type { NextDatabase } from './next-database.ts'
import type { Lease, LeaseAccess } from '../leasing/lease-protocol.ts'

/** Of tests that run at once, as many as a pool of pg has connections by default: a lease is reckoned with so many. */
const TRANSACTIONS_AT_ONCE = 10

/** What a worker remembers between files. */
interface WorkerLease {
  /** Of the file that is running. */
  access: LeaseAccess
  owner: string
  /** When the file was over, by `performance.now()`. */
  endedMs: number | undefined
  readonly client: Promise<LeaseClient>
  lease: Lease | undefined
  /** Databases that tests of the file had to themselves and failed in, by the id of the test. */
  testDatabases: Map<string, string[]>
  /** The database of the file's next test, if it is being prepared. */
  readonly next: NextDatabase[]
  /** Connections of tests to the database of their file. */
  readonly transactions: Turns
}

const KEY = Symbol.for('vitest-infra/worker-lease')
type Holder = { [KEY]?: WorkerLease }

/**
 * The lease of the test file that is about to run: a new one, or, where the worker keeps the user's modules between
 * files and with them their connections, the worker's own, emptied.
 */
export async function leaseForFile(access: LeaseAccess, owner: string, declared?: string): Promise<Lease> {
  const worker = workerLease(access, owner)
  watchChildren()
  const client = await worker.client
  const { lease, endedMs } = worker
  worker.endedMs = undefined
  const { project, wants, reuse } = access
  // The template of the main database cannot be chosen.
  const template = leasesDatabase(access) ? (declared ?? access.template) : access.template
  if (lease && access.lifetime === 'worker') {
    assertSameTemplate(lease, template, owner)
    await (reuse ? undefined : client.reset(lease.lease, owner, endedMs && performance.now() - endedMs))
    return lease
  }
  // Not above: modules that a worker keeps know nothing but what is gone.
  client.forgetLoss()
  if (lease) {
    // The file before is over. Not at its end, since its own hooks may still have wanted the database.
    await client.release(lease.lease)
    worker.lease = undefined
  }
  worker.lease = await client.acquire({ project, owner, span: 'file', wants, template, reuse })
  return worker.lease
}

/** Says that the file is over: connections it leaves open are noticed, and what is used again is given back at once. */
export async function finishFile(): Promise<void> {
  const worker = (process as Holder)[KEY]
  if (worker) {
    worker.endedMs = performance.now()
  }
  const current = await currentLease()
  if (!current) {
    return
  }
  if (current.access.lifetime === 'worker') {
    // It keeps the user's modules and their connections, too, and is right to; but nothing should be sent by these now.
    await (current.access.reuse ? undefined : current.client.idle(current.lease.lease).catch(() => {}))
    return
  }
  const { access, client, owner, lease, next } = current
  await Promise.all(next.splice(0).map((database) => database.giveBack()))
  // A run that is being ended does not answer any more, which is no fault of the file.
  const processes = runningChildren()
  if (leasesDatabase(access) || processes.length > 0) {
    await client.finish(lease.lease, owner, processes).catch(() => {})
  }
  if (access.reuse) {
    // Not when the worker has ended: the next one begins before that.
    await client.release(lease.lease).catch(() => {})
    workerLease(access, owner).lease = undefined
  }
}

/** Whether files get databases of their own, not the main one. */
export function leasesDatabase({ wants }: LeaseAccess): boolean {
  return wants.includes('postgres')
}

/** The lease of this file and the connection that holds it. */
export interface CurrentLease {
  readonly access: LeaseAccess
  /** The file. */
  readonly owner: string
  readonly client: LeaseClient
  readonly lease: Lease
  /** Databases that tests of the file had to themselves and failed in, by the id of the test. */
  readonly testDatabases: Map<string, string[]>
  /** The database of the file's next test, if it is being prepared. */
  readonly next: NextDatabase[]
  /** Connections of tests to the database of their file. */
  readonly transactions: Turns
}

/** What the file that is running was given, and what for. */
export function heldLease(): Pick<CurrentLease, 'access' | 'lease'> | undefined {
  const worker = (process as Holder)[KEY]
  return worker?.lease && { access: worker.access, lease: worker.lease }
}

/** What the file that is running holds; nothing in a project that leases nothing. */
export async function currentLease(): Promise<CurrentLease | undefined> {
  const worker = (process as Holder)[KEY]
  return worker?.lease && { ...worker, client: await worker.client, lease: worker.lease }
}

/** The modules that a worker keeps have read the address of the database that it was given first. */
function assertSameTemplate(lease: Lease, template: string, owner: string): void {
  if (lease.template !== template) {
    throw new InfraError('INFRA_LEASE_FAILED', {
      problem: `Cannot lease template "${template}" for ${owner}: its worker holds one of "${lease.template}" for good`,
      remedy: 'Leave isolate at true, or give the files of one template a project of their own',
      service: 'postgres',
    })
  }
}

/** Kept on `process`, the one object that vm pools do not renew with each file. */
function workerLease(access: LeaseAccess, owner: string): WorkerLease {
  const holder = process as Holder
  const known = holder[KEY]
  if (known?.access.socket === access.socket) {
    return Object.assign(known, { access, owner, testDatabases: new Map() })
  }
  // The first file, or the first one of a run that took the place of another.
  return (holder[KEY] = {
    access,
    owner,
    endedMs: undefined,
    client: LeaseClient.open(access.socket),
    lease: undefined,
    testDatabases: new Map(),
    next: [],
    transactions: new Turns(TRANSACTIONS_AT_ONCE),
  })
}
