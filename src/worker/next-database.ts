import type { LeaseClient } from '../leasing/lease-client.ts'
import type { Lease, LeaseAccess } from '../leasing/lease-protocol.ts'
import type { NextSession } from './next-session.ts'

/** A leased database, and a session for its first client if one could be opened. */
export interface OpenedDatabase {
  readonly lease: Lease
  readonly session: NextSession | undefined
}

/** The file whose tests run, with its lease. */
export interface RunningFile {
  readonly client: LeaseClient
  readonly access: LeaseAccess
  readonly owner: string
  readonly lease: Lease
}

/**
 * The database for the next test, leased and connected while another test runs. It does not count towards the limit
 * until its test begins, so that no other request waits for it.
 */
export class NextDatabase {
  readonly #client: LeaseClient
  readonly #opened: Promise<OpenedDatabase | undefined>

  private constructor(client: LeaseClient, opened: Promise<OpenedDatabase>) {
    this.#client = client
    // If this fails, the test leases a database itself and reports the failure.
    this.#opened = opened.catch(() => undefined)
  }

  static prepare(file: RunningFile, openSession: (url: string) => Promise<NextSession>): NextDatabase {
    return new NextDatabase(file.client, open(file, openSession))
  }

  /** Waits until the limit permits the database; resolves to undefined if the test must lease another one. */
  async begin(owner: string, test: string): Promise<OpenedDatabase | undefined> {
    const opened = await this.#opened
    if (!opened) {
      return undefined
    }
    const { lease, session } = opened
    try {
      const [isCurrent] = await Promise.all([session?.isCurrent(), this.#client.begin(lease.lease, owner, test)])
      if (isCurrent) {
        return opened
      }
      // Not awaited: dropping the database waits for its sessions to end.
      void session?.close()
      return { lease, session: undefined }
    } catch {
      await this.release()
      return undefined
    }
  }

  async release(): Promise<void> {
    const opened = await this.#opened
    if (opened) {
      await opened.session?.close()
      // A run that is ending no longer answers.
      void this.#client.release(opened.lease.lease).catch(() => {})
    }
  }
}

async function open(
  { client, access, owner, lease: file }: RunningFile,
  openSession: (url: string) => Promise<NextSession>,
): Promise<OpenedDatabase> {
  const { project } = access
  const { template, lease: beside } = file
  const request = { project, owner, span: 'test', wants: ['postgres'], template, reuse: false, beside } as const
  const lease = await client.acquire({ ...request, isAhead: true })
  return { lease, session: await openSession(lease.facts.postgres.url).catch(() => undefined) }
}
