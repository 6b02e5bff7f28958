// The names of everything that vitest-infra creates outside its own process, with the patterns that recognise them:
// databases, connections, keys, containers, images, files. A name and its pattern change together, and only if servers,
// snapshots and files of an older version may stay unrecognised.

/** What the names of everything but databases begin with. */
const OURS = 'vitest-infra'

// Databases, and the schemas that replace them. JavaScript and PostgreSQL both evaluate these patterns.

/** The prefix of all databases. */
export const MARK = 'vitest_infra_'

/** A run's id: eight hexadecimal digits. */
const RUN = '[0-9a-f]{8}'
const FINGERPRINT_DIGITS = 24

/** Matches what belongs to a single run. The first group is the run's id. */
export const OF_RUN = `^${MARK}(${RUN})_`
/** Matches templates, of one run or of all runs. */
export const OF_TEMPLATE = `^${MARK}(?:${RUN}_)?t_[0-9a-f]{${FINGERPRINT_DIGITS}}$`
/** Matches templates that all runs share. */
export const OF_SHARED_TEMPLATE = `^${MARK}t_`
/** Matches what may be created and dropped on a server that others use too. */
export const DROPPABLE = `^${MARK}(?:${RUN}_.+|t_[0-9a-f]{${FINGERPRINT_DIGITS}}$)`

/** Returns the prefix of the names of a run's databases. */
export function prefixOf(runId: string): string {
  return `${MARK}${runId}_`
}

/** Returns the name of a template that only the given run can use or, without `runId`, all runs. */
export function nameTemplate(fingerprint: string, runId?: string): string {
  return `${runId === undefined ? MARK : prefixOf(runId)}t_${fingerprint.slice(0, FINGERPRINT_DIGITS)}`
}

/** Returns the name of the database that is created in advance as the main database of the next run. */
export function nameSpare(template: string): string {
  return template.replace('_t_', '_spare_')
}

// PostgreSQL's connections, by `application_name`. Any role may read it for other sessions, but few other facts.

export const APPLICATION = {
  /** The main process and the workers' own connections. */
  own: OURS,
  /** The pool of the fixture `database`. */
  fixture: `${OURS} database`,
  /** The client of the fixture `transaction`. */
  transaction: `${OURS} transaction`,
  /** Connections that create and drop schemas. */
  schemas: `${OURS} schemas`,
} as const

/** Matches every `application_name` of vitest-infra, with LIKE. */
export const OUR_APPLICATIONS = `${OURS}%`

/** Matches the `application_name` of a run. Its groups are the ticket and the number of connections. */
export const OF_RUN_APPLICATION = `^${OURS} run (\\d+) (\\d+)$`

/** Returns the `application_name` by which a run tells other runs when it started and how many connections it needs. */
export function nameRunApplication(ticket: string, connections: number): string {
  return `${OURS} run ${ticket} ${connections}`
}

/** Keys of advisory locks, before they are hashed. */
export const lockKey = {
  ofRun: (runId: string) => `${OURS} run ${runId}`,
  ofTemplate: (database: string) => `${OURS} template ${database}`,
}

// Redis.

/** The name of the main process's and the workers' own connections. */
export const CONNECTION = OURS

/** Returns the name of the connection that shows other runs that a run is alive. */
export function nameRunConnection(runId: string): string {
  return `${OURS}-${runId}`
}

/** Prefixes of the keys in database 0 that say which run has claimed a database, until when, and to whom it belongs. */
export const CLAIM_KEY = `${OURS}:claim:`
export const OWNER_KEY = `${OURS}:owner:`

// Containers.

export const LABEL = {
  /** The name of the service, on every container. */
  service: `${OURS}.service`,
  /** The id of the run that created the container, on every container. */
  run: `${OURS}.run`,
  /** The name of the project's folder, for people. */
  project: `${OURS}.project`,

  /** The id of the process that started the container. */
  owner: `${OURS}.owner`,
  /**
   * The processes that can see the owner's process: the boot of a machine, a pid namespace and an account. The account is
   * part of it because a process may not see processes of other accounts.
   */
  ownerPlace: `${OURS}.owner.place`,
  /** Replaces `ownerPlace` on a container that may outlive its owner, which is swept only if it never ran. */
  outlivedOwnerPlace: `${OURS}.outlived-owner.place`,
  /** The kernel's start time of the owner's process, because process ids are reused. */
  ownerStarted: `${OURS}.owner.started`,

  /** A digest of the service's definition, only on containers that outlive their run. */
  spec: `${OURS}.kept.spec`,
  /** The id of the service's image. The container itself may be created from a snapshot. */
  image: `${OURS}.kept.image`,
  /** The idle timeout, in milliseconds. */
  idleTimeout: `${OURS}.kept.for`,
  /** The host of the published ports. */
  host: `${OURS}.kept.host`,
  /** The data folder. */
  dataFolder: `${OURS}.kept.folder`,
  /** A digest of the project's folder. */
  root: `${OURS}.kept.root`,

  /** A digest of a snapshot's key, on every image of a snapshot. */
  snapshot: `${OURS}.snapshot`,
  /** A digest of the folder of the snapshot's project. */
  snapshotProject: `${OURS}.snapshot.project`,
  /** When the snapshot was taken, as an ISO date. */
  snapshotCreated: `${OURS}.snapshot.created`,
} as const

export function nameContainer(runId: string, service: string): string {
  return `${OURS}-${runId}-${service}`
}

/** The image of all snapshots. The registry keeps `TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX` from changing the name. */
export const SNAPSHOT_REPOSITORY = `localhost/${OURS}-snapshot`

/**
 * The folder in a server's container to which its data is copied. It is neither in a volume nor in memory, because the
 * engine exports neither.
 */
export const COPY_FOLDER = `/tmp/${OURS}-snapshot`
/** The copy's folder in the image. */
export const SNAPSHOT_FOLDER = `/${OURS}-snapshot`

/** The prefix of the files in a container by which runs agree on who uses its server. */
export const LIFELINE_FILES = `/dev/shm/${OURS}`
/** The `$0` of the shell that ends a server with its run, in containers and for local processes. */
export const LIFELINE_PROGRAM = `${OURS}-lifeline`
/** The line by which a container confirms that its run has detached. */
export const DETACHED_LINE = `${OURS}: detached`

// Files on this machine.

/** The name of cache folders. */
export const CACHE_FOLDER = OURS
/** The prefix of folders for temporary files. The folder of a socket is recognised by the {@link SOCKET} in it. */
export const TEMPORARY_FOLDER = `${OURS}-`
/** The socket on which workers lease. */
export const SOCKET = 'lease.sock'

/** Returns the name of the pipe that replaces the socket on Windows. */
export function namePipe(id: string): string {
  return `\\\\.\\pipe\\${OURS}-${id}`
}

/** A process, as in the name of the folder that holds the data of its local servers. */
export interface FolderOwner {
  /** The id of the pid namespace. In containers that share a folder, processes may have the same ids. */
  readonly space: string
  readonly pid: number
  /** The kernel's start time of the process. */
  readonly started: string
}

/** Returns the prefix of a data folder. */
export function nameDataFolder({ space, pid, started }: FolderOwner): string {
  return `${OURS}-${space}-${pid}-${started}-`
}

/** Returns the owner of a data folder; undefined if the folder is not one of this pid namespace. */
export function ownerOfDataFolder(name: string, space: string): FolderOwner | undefined {
  const [, pid, started] = new RegExp(`^${OURS}-${space}-(\\d+)-(\\d+)-`).exec(name) ?? []
  return pid === undefined || started === undefined ? undefined : { space, pid: Number(pid), started }
}
