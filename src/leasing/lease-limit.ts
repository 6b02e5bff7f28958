/** The number of leases of a service at the same time. */
export interface LeaseLimit {
  readonly count: number
  /** Why there are not more, in figures; for messages. */
  readonly reason: string
  /** How the user can raise the limit. */
  readonly remedy: string
}

/** The default size of a pool of pg. */
const CONNECTIONS_PER_LEASE = 10
/** Connections of this process, and those that PostgreSQL reserves for superusers. */
const CONNECTIONS_RESERVED = 15
/** Tests add data to a clone; clones that are prepared or not dropped yet take space, too. */
const SPACE_FACTOR = 4
const MEGABYTE = 1024 * 1024
/** On a server that others use, too: three to create, drop and inspect, one for the claim, one to build a template. */
const CONNECTIONS_OF_RUN = 5

interface SharedCapacity extends Pick<DatabaseCapacity, 'maxConnections' | 'workers'> {
  /** How many of the server's connections the run may use. */
  readonly available: number
}

export interface DatabaseCapacity {
  /** The setting of the server. */
  readonly maxConnections: number
  /** The size of the template. */
  readonly templateBytes: number
  /** Free space where the data is; undefined if it is unknown. */
  readonly freeBytes: number | undefined
  /** The maximum number of workers of the run. */
  readonly workers: number
}

/**
 * The limit of databases, by the server's connections and the space for its data. As few clients open all connections of
 * their pool, the connections always allow two databases for each worker: that of its file, and one for a test.
 */
export function limitDatabases({ maxConnections, templateBytes, freeBytes, workers }: DatabaseCapacity): LeaseLimit {
  const byConnections = Math.max(
    workers * 2,
    Math.floor((maxConnections - CONNECTIONS_RESERVED) / CONNECTIONS_PER_LEASE),
  )
  const byBytes = Math.max(1, Math.floor((freeBytes ?? Infinity) / (templateBytes * SPACE_FACTOR)))
  if (freeBytes === undefined || byConnections <= byBytes) {
    return {
      count: byConnections,
      reason: `max_connections is ${maxConnections}, and a lease is reckoned with ${CONNECTIONS_PER_LEASE}`,
      remedy: 'Raise max_connections in postgres.settings, or lower maxConcurrency or maxWorkers',
    }
  }
  return {
    count: byBytes,
    reason: `${megabytes(freeBytes)} are free for data, and a clone of ${megabytes(templateBytes)} is reckoned with ${megabytes(templateBytes * SPACE_FACTOR)}`,
    remedy:
      'Give the container engine, or the folder of the data, more room, make the template smaller, or lower maxConcurrency or maxWorkers',
  }
}

/** The connections that a run needs on a server that others use, too: its own, and one for each lease of its workers. */
export function connectionsOfRun(workers: number): number {
  return CONNECTIONS_OF_RUN + workers * 2
}

/** The same on a server that others use, too: half of the connections that they leave, since more users may come. */
export function limitSharedDatabases({ maxConnections, available, workers }: SharedCapacity): LeaseLimit {
  return {
    count: Math.max(workers * 2, Math.floor((available - CONNECTIONS_OF_RUN) / 2 / CONNECTIONS_PER_LEASE)),
    reason: `max_connections is ${maxConnections}, others leave ${available}, and a lease is reckoned with ${CONNECTIONS_PER_LEASE} of half of them`,
    remedy: 'Raise max_connections of the server, or lower maxConcurrency or maxWorkers',
  }
}

/** The limit of Redis servers or logical databases. */
export function limitRedises(count: number, isolation: 'server' | 'database'): LeaseLimit {
  return {
    count,
    reason: isolation === 'server' ? `${count} servers, two for each worker` : `${count} logical databases`,
    remedy: 'Raise maxWorkers, or lower maxConcurrency, so that fewer tests want one at the same time',
  }
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / MEGABYTE)} MB`
}
