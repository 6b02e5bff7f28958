import type { Instances } from './service.ts'

/** The port of the first server inside its container. */
const PORT = 5432

/** There may be dozens, each used by one test file. The user's settings win. */
export const INSTANCE_SETTINGS = {
  shared_buffers: '16MB',
  max_connections: '100',
  min_wal_size: '32MB',
}

/**
 * A copy of the running server, taken without stopping it, and then started and ended once by itself, so that no copy of
 * it has to recover. Over TCP, which the healthcheck needs as well; where sockets are is the user's choice.
 */
const TAKE_BASE = [
  'rm -rf "${base:?}.new"',
  `PGPASSWORD=$POSTGRES_PASSWORD pg_basebackup --host 127.0.0.1 --port ${PORT} --username "$POSTGRES_USER" \
--pgdata "$base.new" --checkpoint fast --no-sync --wal-method stream --no-manifest`,
  'postgres --single -F -c wal_recycle=off -D "$base.new" template1 >/dev/null',
  'rm -rf "${base:?}"',
  'mv "$base.new" "$base"',
].join(' && ')

/** Further PostgreSQL servers: copies of what the first one was when the base was taken. */
export function describeInstances(count: number, settings: readonly string[]): Instances {
  return {
    count,
    command: (port, folder) => ['postgres', '-D', folder, '-p', port, ...settings],
    base: TAKE_BASE,
    prepare: 'cp -a "$base/." "$folder"',
    // It refuses to run as root.
    user: 'postgres',
    folderVariable: 'PGDATA',
    // Killed, it would leave its children to the container's first process.
    endSignal: 'QUIT',
  }
}
