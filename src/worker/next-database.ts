import type { LeaseClient } from '../leasing/lease-client.ts'
import type { Lease, LeaseAccess } from '../leasing/lease-protocol.ts'
import type { NextSession } from './next-session.ts'

/** A database and, if it could be opened, a session for its first client. */
export interface OpenedDatabase {
  readonly lease: Lease
  readonly session: NextSession | undefined
}

/** The file whose tests are running, and what it has leased. */
export interface RunningFile {
  readonly client: LeaseClient
  readonly access: LeaseAccess
  readonly owner: string
  readonly lease: Lease
}

/**
 * The database of the test that comes next, leased and connected to while another test runs. It does not count as long as
 * its test has not begun, so that nobody waits for it.
 */
export class NextDatabase {
  readonly #client: LeaseClient
  readonly #opened: Promise<OpenedDatabase | undefined>

  private constructor(client: LeaseClient, opened: Promise<OpenedDatabase>) {
    this.#client = client
    // The test that needs one acquires it then, and fails if that fails.
    this.#opened = opened.catch(() => undefined)
  }

  static prepare(file: RunningFile, openSession: (url: string) => Promise<NextSession>): NextDatabase {
    return new NextDatabase(file.client, open(file, openSession))
  }

  /** Waits until there is room for it; resolves to nothing if one has to be acquired instead. */
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
      await this.giveBack()
      return undefined
    }
  }

  async giveBack(): Promise<void> {
    const opened = await this.#opened
    if (opened) {
      await opened.session?.close()
      // A run that is being ended does not answer any more.
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
