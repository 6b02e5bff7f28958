import { InfraError } from '../errors.ts'
import { Turns } from '../internal/turns.ts'
import { type Lease, type LeaseAccess, type LeaseClient, openLeaseClient } from '../leasing/lease-client.ts'
import type { AcquireRequest } from '../leasing/lease-source.ts'
import { runningChildren, watchChildren } from './child-processes.ts'
import type { NextSession } from './next-session.ts'

/**
 * Maximum number of concurrent `transaction` fixtures; equals the default pool size of pg. The connection budget of a
 * lease relies on this limit.
 */
const TRANSACTIONS_AT_ONCE = 10

/** A leased database and a session for its first client. The session is undefined if none could be opened. */
export interface OpenedDatabase {
  readonly lease: Lease
  readonly session: NextSession | undefined
}

/**
 * The database for the next test, leased and connected while another test runs. It does not count towards the limit
 * until its test begins, so that no other request has to wait for it.
 */
export interface NextDatabase {
  /** Resolves to the database once the limit permits it, or to undefined if the test must lease another one. */
  begin(owner: string, test: string): Promise<OpenedDatabase | undefined>
  release(): Promise<void>
}

/** The lease of the running file, and the connection that holds it. */
export interface CurrentLease {
  readonly access: LeaseAccess
  /** Path of the test file. */
  readonly owner: string
  readonly client: LeaseClient
  readonly lease: Lease
  /** Databases of individual tests that failed, by test id. */
  readonly testDatabases: Map<string, string[]>
  /** The database that is prepared for the next test; at most one element. */
  readonly next: NextDatabase[]
  /** Limits the concurrent `transaction` fixtures on the database of the file. */
  readonly transactions: Turns
}

/** State that a worker keeps between files. */
interface WorkerLease extends Pick<CurrentLease, 'next' | 'transactions'> {
  /** Access for the running file. */
  access: LeaseAccess
  owner: string
  testDatabases: Map<string, string[]>
  /** Time at which the last file ended, in milliseconds of `performance.now()`. */
  endedMs: number | undefined
  readonly client: Promise<LeaseClient>
  lease: Lease | undefined
}

const KEY = Symbol.for('vitest-infra/worker-lease')
type Holder = { [KEY]?: WorkerLease }

/**
 * Returns the lease for the test file that is about to run. By default, this is a new lease. If the worker keeps the
 * user's modules, and thus their connections, between files, its lease is reset and reused.
 */
export async function leaseForFile(access: LeaseAccess, owner: string, declared?: string): Promise<Lease> {
  const worker = workerLease(access, owner)
  watchChildren()
  const client = await worker.client
  const { lease, endedMs } = worker
  worker.endedMs = undefined
  const { project, wants, reuse } = access
  // The main database always has the project's template.
  const template = leasesDatabase(access) ? (declared ?? access.template) : access.template
  if (lease && access.lifetime === 'worker') {
    assertSameTemplate(lease, template, owner)
    const idleMs = endedMs === undefined ? 0 : performance.now() - endedMs
    await (reuse ? undefined : client.reset(lease.lease, owner, idleMs))
    return lease
  }
  // The loss of a server is forgotten only for a new lease, as modules that a worker keeps still use the lost server.
  client.forgetLoss()
  if (lease) {
    // The old lease is released here and not at the end of its file, as hooks of that file may still use the database.
    await client.release(lease.lease)
    worker.lease = undefined
  }
  worker.lease = await client.acquire({ project, owner, span: 'file', wants, template, reuse })
  return worker.lease
}

/** Ends the file's use of its lease. Reports its open connections, and releases a database for reuse at once. */
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
    // Modules and their connections outlive the file. What they send before the next file starts can be reported.
    await (current.access.reuse ? undefined : current.client.idle(current.lease.lease).catch(() => {}))
    return
  }
  const { access, client, owner, lease, next } = current
  await Promise.all(next.splice(0).map((database) => database.release()))
  // Failures are ignored, as a run that is ending no longer answers. This is not the fault of the file.
  const processes = runningChildren()
  if (leasesDatabase(access) || processes.length > 0) {
    await client.finish(lease.lease, owner, processes).catch(() => {})
  }
  if (access.reuse) {
    // The lease is released here and not when the worker exits, as the next worker starts before that.
    await client.release(lease.lease).catch(() => {})
    workerLease(access, owner).lease = undefined
  }
}

/** Whether each file leases a database, instead of using the main one. */
export function leasesDatabase({ wants }: LeaseAccess): boolean {
  return wants.includes('postgres')
}

/** Leases databases or servers for one test, on the server of its file. */
export function acquireForTest(
  { client, access, lease: file }: CurrentLease,
  request: Pick<AcquireRequest, 'owner' | 'wants' | 'test' | 'isAhead'>,
): Promise<Lease> {
  const { template, lease: onServerOf } = file
  return client.acquire({ ...request, project: access.project, span: 'test', template, reuse: false, onServerOf })
}

/** Returns the lease of the running file without its connection. */
export function heldLease(): Pick<CurrentLease, 'access' | 'lease'> | undefined {
  const worker = (process as Holder)[KEY]
  return worker?.lease && { access: worker.access, lease: worker.lease }
}

/** Returns the lease of the running file; undefined in a project without leases. */
export async function currentLease(): Promise<CurrentLease | undefined> {
  const worker = (process as Holder)[KEY]
  return worker?.lease && { ...worker, client: await worker.client, lease: worker.lease }
}

/**
 * Checks that a worker's next file has the same template. Modules that a worker keeps have read the address of its
 * first database, so its template cannot change.
 */
function assertSameTemplate(lease: Lease, template: string, owner: string): void {
  if (lease.template !== template) {
    throw new InfraError('INFRA_LEASE_FAILED', {
      problem: `Cannot lease template "${template}" for ${owner}: its worker keeps a database of "${lease.template}"`,
      remedy: 'Leave isolate at true, or put the files of each template into a separate project',
      service: 'postgres',
    })
  }
}

/** Returns the state of this worker. It is on `process`, the only object that vm pools keep between files. */
function workerLease(access: LeaseAccess, owner: string): WorkerLease {
  const holder = process as Holder
  const known = holder[KEY]
  if (known?.access.socket === access.socket) {
    return Object.assign(known, { access, owner, testDatabases: new Map() })
  }
  // This is the worker's first file, or the first one after a restart of the run.
  return (holder[KEY] = {
    access,
    owner,
    endedMs: undefined,
    client: openLeaseClient(access.socket),
    lease: undefined,
    testDatabases: new Map(),
    next: [],
    transactions: new Turns(TRANSACTIONS_AT_ONCE),
  })
}
