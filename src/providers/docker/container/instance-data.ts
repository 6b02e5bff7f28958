/** How the instances of a service get their data inside its container. Both scripts are POSIX sh. */
export interface InstanceData {
  /** Fills the folder `$base` with the server's current data. */
  readonly takeBase: string
  /** Fills the folder `$folder` of an instance. It runs before the instance starts with new data. */
  readonly prepare: string
  /** The account that runs the image's entrypoint. */
  readonly user: string
  /** The variable in which the image's entrypoint expects the data folder. */
  readonly folderVariable: string
}

/**
 * Copies the running server over TCP, because the user may choose the socket folder. Then starts and ends the copy once
 * in single-user mode, so that no instance has to recover it.
 */
const TAKE_POSTGRES_BASE = [
  'rm -rf "${base:?}.new"',
  `PGPASSWORD=$POSTGRES_PASSWORD pg_basebackup --host 127.0.0.1 --port 5432 --username "$POSTGRES_USER" \
--pgdata "$base.new" --checkpoint fast --no-sync --wal-method stream --no-manifest`,
  'postgres --single -F -c wal_recycle=off -D "$base.new" template1 >/dev/null',
  'rm -rf "${base:?}"',
  'mv "$base.new" "$base"',
].join(' && ')

/**
 * Instance data by service. Instances of other services start with an empty folder and run as the container's own
 * account.
 */
export const INSTANCE_DATA: Readonly<Record<string, InstanceData>> = {
  postgres: {
    takeBase: TAKE_POSTGRES_BASE,
    prepare: 'cp -a "$base/." "$folder"',
    // PostgreSQL refuses to run as root.
    user: 'postgres',
    folderVariable: 'PGDATA',
  },
}
