import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import type { StackFacts } from '../../../src/environment/infra-facts.ts'
import type {
  AcquireRequest,
  DatabaseSource,
  FailedTest,
  LeaseSource,
  LogExcerpt,
  RetainedDatabase,
} from '../../../src/leasing/lease-source.ts'
import { LeaseBroker, type LeaseBrokerOptions } from '../../../src/leasing/lease-broker.ts'

import { type LeaseClient, openLeaseClient } from '../../../src/leasing/lease-client.ts'
import type { LeaseWait } from '../../../src/leasing/lease-queue.ts'
import { LeaseServer } from '../../../src/leasing/lease-server.ts'
import type { Address } from '../../../src/services/service.ts'
import { FakeClock } from '../support/fake-clock.ts'

export const REQUEST: AcquireRequest = {
  project: 'api',
  owner: 'a.test.ts',
  span: 'file',
  wants: ['postgres', 'redis'],
  template: 'default',
  reuse: false,
}

export const STACK = {
  provider: 'docker',
  postgres: { host: 'localhost', port: 5432, user: 'u', password: 'p', database: 'app', url: 'x', version: '18.6' },
  redis: { host: 'localhost', port: 6379, url: 'y', version: '8.0.6' },
  services: {},
} as StackFacts

/** The names of leased items, and a gate that delays requests. */
export class FakeSource implements DatabaseSource {
  readonly out = new Set<string>()
  readonly emptied: string[] = []
  sessions: readonly string[] = []
  /** Of which tests, in which database, the log was asked for. */
  readonly asked: string[] = []
  logFailure: Error | undefined
  readonly keeping: RetainedDatabase[] = []
  /** Awaited before the next item is handed out. */
  gate: () => Promise<unknown> = async () => {}
  #count = 0

  async acquire(): Promise<string> {
    await this.gate()
    this.#count += 1
    this.out.add(`db${this.#count}`)
    return `db${this.#count}`
  }

  release(item: string): void {
    if (!this.out.delete(item)) {
      throw new Error(`${item} was not out`)
    }
  }

  async reset(item: string): Promise<void> {
    this.emptied.push(item)
  }

  async sessionsOf(): Promise<readonly string[]> {
    return this.sessions
  }

  async logsOf(database: string, tests: readonly FailedTest[]): Promise<readonly LogExcerpt[]> {
    this.asked.push(...tests.map(({ name }) => `${database}: ${name}`))
    if (this.logFailure) {
      throw this.logFailure
    }
    return tests.map(({ name }) => ({ lines: name === 'silent' ? [] : [`ERROR:  of ${name}`], more: 0 }))
  }

  retain(kept: RetainedDatabase): void {
    this.keeping.push(kept)
  }

  retained(): readonly RetainedDatabase[] {
    return this.keeping
  }

  dropRetained(): void {
    this.keeping.splice(0)
  }
}

export class FakeRedises implements LeaseSource<Address> {
  readonly out = new Set<number>()
  failure: Error | undefined

  async acquire(): Promise<Address> {
    if (this.failure) {
      throw this.failure
    }
    const port = 7000 + this.out.size
    this.out.add(port)
    return { host: 'localhost', port }
  }

  release({ port }: Address): void {
    this.out.delete(port)
  }

  async reset(): Promise<void> {}
}

export interface Leasing {
  readonly server: LeaseServer
  readonly databases: FakeSource
  readonly redises: FakeRedises
  readonly waits: number[]
  readonly left: [owner: string, sessions: readonly string[]][]
  readonly shortages: LeaseWait[]
  readonly logs: [owner: string, log: LogExcerpt][]
  readonly broker: LeaseBroker
  readonly clock: FakeClock
  readonly open: () => Promise<LeaseClient>
  readonly dial: () => Promise<Dialled>
}

/** A connection without a protocol. */
export interface Dialled {
  readonly socket: Socket
  readonly closed: Promise<void>
}

/** A lease server with sources that only count. */
export async function openLeasing(
  limits: LeaseBrokerOptions['limits'] = {},
  { staysUp = false } = {},
): Promise<Leasing> {
  const [databases, redises, clock] = [new FakeSource(), new FakeRedises(), new FakeClock()]
  const waits: number[] = []
  const left: Leasing['left'] = []
  const shortages: LeaseWait[] = []
  const logs: Leasing['logs'] = []
  const broker = new LeaseBroker({
    sources: { stack: STACK, databases, redises },
    limits,
    environment: (project, { postgres }) => ({ PROJECT: project, DATABASE_URL: postgres.url }),
    clock,
    onGranted: (waitedMs) => waits.push(waitedMs),
    onWaiting: (wait) => shortages.push(wait),
    onConnectionsLeft: (owner, sessions) => left.push([owner, sessions]),
    onLog: (owner, log) => logs.push([owner, log]),
    staysUp,
  })
  const server = await LeaseServer.open(broker)
  onTestFinished(() => server.close())
  const open = () => openLeaseClient(server.path)
  const dial = async () => {
    const socket = connect(server.path).on('error', () => {})
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    await once(socket, 'connect')
    // Read, so that the close of the connection is noticed.
    socket.resume()
    onTestFinished(() => void socket.destroy())
    return { socket, closed }
  }
  return { server, databases, redises, waits, left, shortages, logs, broker, clock, open, dial }
}
