/** How many leases of a service there may be at once, and why not more. */
export interface LeaseLimit {
  readonly count: number
  /** For people: what is short, in figures. */
  readonly reason: string
  /** What to do about it. */
  readonly remedy: string
}

/** As many as a pool of pg opens by default. */
const CONNECTIONS_PER_LEASE = 10
/** What this process itself may need at once, and superusers keep for themselves. */
const CONNECTIONS_APART = 15
/** A clone grows with what tests write; and those that are made ahead or not dropped yet take room as well. */
const ROOM_PER_CLONE = 4
const MEGABYTE = 1024 * 1024
/** On a server that others use too: three to make, drop and look, one for the claim, one to build a template. */
const CONNECTIONS_OF_RUN = 5

interface SharedRoom extends Pick<DatabaseRoom, 'maxConnections' | 'workers'> {
  /** How many of its connections the run may use. */
  readonly available: number
}

export interface DatabaseRoom {
  /** The server's own setting. */
  readonly maxConnections: number
  /** Size of the template that clones are made of. */
  readonly templateBytes: number
  /** Free space where the server keeps its data; undefined where that cannot be known. */
  readonly freeBytes: number | undefined
  /** How many workers the run may have at once. */
  readonly workers: number
}

/**
 * The budget of databases: what the server's connections and the memory that its data is in allow. Connections always
 * allow every worker one for its file and one more, since hardly any of them opens all that its pool could.
 */
export function limitDatabases({ maxConnections, templateBytes, freeBytes, workers }: DatabaseRoom): LeaseLimit {
  const byConnections = Math.max(workers * 2, Math.floor((maxConnections - CONNECTIONS_APART) / CONNECTIONS_PER_LEASE))
  const byBytes = Math.max(1, Math.floor((freeBytes ?? Infinity) / (templateBytes * ROOM_PER_CLONE)))
  if (freeBytes === undefined || byConnections <= byBytes) {
    return {
      count: byConnections,
      reason: `max_connections is ${maxConnections}, and a lease is reckoned with ${CONNECTIONS_PER_LEASE}`,
      remedy: 'Raise max_connections in postgres.settings, or lower maxConcurrency or maxWorkers',
    }
  }
  return {
    count: byBytes,
    reason: `${megabytes(freeBytes)} are free for data, and a clone of ${megabytes(templateBytes)} is reckoned with ${megabytes(templateBytes * ROOM_PER_CLONE)}`,
    remedy:
      'Give the container engine, or the folder of the data, more room, make the template smaller, or lower maxConcurrency or maxWorkers',
  }
}

/** How many connections a run on a server that others use too reckons with: its own, and one for each lease of its workers. */
export function connectionsOfRun(workers: number): number {
  return CONNECTIONS_OF_RUN + workers * 2
}

/** The budget of databases on a server that others use too; half of what they leave, since others may come. */
export function limitSharedDatabases({ maxConnections, available, workers }: SharedRoom): LeaseLimit {
  return {
    count: Math.max(workers * 2, Math.floor((available - CONNECTIONS_OF_RUN) / 2 / CONNECTIONS_PER_LEASE)),
    reason: `max_connections is ${maxConnections}, others leave ${available}, and a lease is reckoned with ${CONNECTIONS_PER_LEASE} of half of them`,
    remedy: 'Raise max_connections of the server, or lower maxConcurrency or maxWorkers',
  }
}

/** The budget of Redises. */
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
