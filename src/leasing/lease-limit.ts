/** The maximum number of concurrent leases of a service. */
export interface LeaseLimit {
  readonly count: number
  /** The figures that determine the limit, for messages. */
  readonly reason: string
  /** How the user can raise the limit, for messages. */
  readonly remedy: string
}

/** The default size of a connection pool of the `pg` package. */
const CONNECTIONS_PER_LEASE = 10
/** Connections of this process, and those that PostgreSQL reserves for superusers. */
const CONNECTIONS_RESERVED = 15
/**
 * Space for each lease, as a multiple of the template's size: tests add data, and clones that are prepared or not
 * dropped yet take space, too.
 */
const SPACE_FACTOR = 4
const MEGABYTE = 1024 * 1024
/**
 * Connections of this process to a shared server: three to create, drop and inspect, one for the claim, one to build a
 * template.
 */
const CONNECTIONS_OF_RUN = 5

interface SharedCapacity extends Pick<DatabaseCapacity, 'maxConnections' | 'workers'> {
  /** How many of the server's connections the run may use. */
  readonly available: number
}

export interface DatabaseCapacity {
  /** The server's `max_connections`. */
  readonly maxConnections: number
  /** The size of the template in bytes. */
  readonly templateBytes: number
  /** Free space for the server's data, in bytes; undefined if it is unknown. */
  readonly freeBytes: number | undefined
  /** The maximum number of workers of the run. */
  readonly workers: number
}

/**
 * Returns the limit for databases, from the server's connections and the free space for its data.
 *
 * The connections always allow two databases for each worker, one for its file and one for a test, because few clients
 * open all connections of their pool.
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

/**
 * Returns how many connections a run needs on a shared server: those of this process, and one for each lease of its
 * workers.
 */
export function connectionsOfRun(workers: number): number {
  return CONNECTIONS_OF_RUN + workers * 2
}

/**
 * Returns the limit for databases on a shared server. It uses half of the connections that other users leave free,
 * because more users may connect.
 */
export function limitSharedDatabases({ maxConnections, available, workers }: SharedCapacity): LeaseLimit {
  return {
    count: Math.max(workers * 2, Math.floor((available - CONNECTIONS_OF_RUN) / 2 / CONNECTIONS_PER_LEASE)),
    reason: `max_connections is ${maxConnections}, others leave ${available}, and a lease is reckoned with ${CONNECTIONS_PER_LEASE} of half of them`,
    remedy: 'Raise max_connections of the server, or lower maxConcurrency or maxWorkers',
  }
}

/** Returns the limit for Redis servers or logical databases. */
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
