import { pbkdf2Sync } from 'node:crypto'
import type { PostgresAddress } from '../environment/variable-set.ts'
import { messageOf } from '../errors.ts'
import { digest } from '../internal/digest.ts'
import { shellWord } from '../internal/shell-word.ts'
import { MARK } from './database-names.ts'
import { withPostgres } from './postgres.ts'
import type { ServiceDefinition, SnapshotDefinition } from './service.ts'

/** Changes with the scripts below and with what is copied, so that what an older version made is not used. */
const FORMAT = 2

/** As many as in PostgreSQL's own verifier, so that a key reveals no more of a password than the data do. */
const PASSWORD_ITERATIONS = 4096

/** What is larger takes longer to copy than most templates take to build. */
const LIMIT_MEGABYTES = 512

const SCRATCH_DATABASE = `${MARK}flush`

/** Why a copy was given up, by the exit code of its script. */
const REASONS = new Map([
  ['3', `its data is larger than ${LIMIT_MEGABYTES} MB`],
  ['4', 'it has tablespaces, replication slots or prepared transactions'],
  ['5', 'something was written while its data was copied'],
])

/**
 * Copies the data of a server at rest: its files into one archive, which is written and read faster than many files, and
 * its control file separately. Any change since the checkpoint that the control file names would be in the log: the copy
 * is good only if the log has nothing but checkpoints.
 */
const COPY = `
umask 077
cd "$data"
[ "$(du -sm . | cut -f 1)" -le ${LIMIT_MEGABYTES} ] || exit 3
for folder in pg_tblspc pg_replslot pg_twophase; do
  [ -z "$(ls -A "$folder")" ] || exit 4
done
rm -rf "$copy"
mkdir -p "$copy/control/global" "$copy/control/pg_wal/archive_status" "$copy/control/pg_wal/summaries"
cp -a PG_VERSION "$copy/control/"
cp -a global/pg_control "$copy/control/global/"
for entry in *; do
  case $entry in
    pg_wal | postmaster.*) ;;
    *) set -- "$@" "$entry" ;;
  esac
done
tar -cf "$copy/data.tar" "$@"
facts=$(pg_controldata "$copy/control")
begin=$(printf '%s\\n' "$facts" | sed -n 's/.*REDO location: *//p')
segment=$(printf '%s\\n' "$facts" | sed -n 's/.*REDO WAL file: *//p')
records=$(pg_waldump --path=pg_wal --start="$begin" "$segment" 2>/dev/null) || true
case $records in *'desc: CHECKPOINT_ONLINE'*) ;; *) exit 5 ;; esac
others=$(printf '%s\\n' "$records" | grep -vE 'desc: (CHECKPOINT_REDO|CHECKPOINT_ONLINE|RUNNING_XACTS)') || true
[ -z "$others" ] || exit 5
`

/**
 * Makes an empty log for a copy and marks it as shut down, so that a server starts on it without recovery, which would
 * also empty its unlogged tables. All but the first page of a new log is zeros, which need not be kept.
 */
const SEAL = `
pg_resetwal -f -D "$copy/control" >/dev/null
cd "$copy/control/pg_wal"
wc -c <"$(echo 0*)" >segment_bytes
truncate -s 8192 0*
`

const RESTORE = `
set -eu
mkdir -p "$PGDATA"
tar -xpf "$snapshot/data.tar" -C "$PGDATA"
cp -a "$snapshot/control/." "$PGDATA/"
chmod 700 "$PGDATA"
cd "$PGDATA/pg_wal"
truncate -s "$(cat segment_bytes)" 0*
rm segment_bytes
`

/** A snapshot that is good for the same settings, credentials and `templates`, which stand for all that went in. */
export function definePostgresSnapshot(
  { environment, command }: ServiceDefinition,
  templates: readonly unknown[],
): SnapshotDefinition {
  const { POSTGRES_PASSWORD = '', ...rest } = environment
  const verifier = pbkdf2Sync(POSTGRES_PASSWORD, 'vitest-infra', PASSWORD_ITERATIONS, 32, 'sha256').toString('hex')
  const inputs = JSON.stringify([FORMAT, rest, verifier, command, templates])
  return { key: digest(inputs), restore: RESTORE }
}

/**
 * Copies a server's data into a folder next to it, by SQL alone: it takes a superuser, and nothing of the provider.
 * Nobody but the caller may use the server meanwhile.
 */
export async function copyPostgresData(address: PostgresAddress, copy: string): Promise<void> {
  await withPostgres(address, async (client) => {
    // CHECKPOINT leaves pages of unlogged tables in memory; a copy of a database file by file has them written too.
    await client.query(`CREATE DATABASE ${SCRATCH_DATABASE} TEMPLATE template0 STRATEGY FILE_COPY`)
    await client.query(`DROP DATABASE ${SCRATCH_DATABASE}`)
    await client.query('CHECKPOINT')
  })
  await runBesideServer(address, { copy, script: COPY })
}

/** Makes a copy fit to start from. Only the copy is touched; the server may be in use meanwhile. */
export async function sealPostgresCopy(address: PostgresAddress, copy: string): Promise<void> {
  await runBesideServer(address, { copy, script: SEAL })
}

/** Runs a POSIX shell script where the server runs, and as the server's account. */
async function runBesideServer(
  address: PostgresAddress,
  { copy, script }: { readonly copy: string; readonly script: string },
): Promise<void> {
  await withPostgres(address, async (client) => {
    const { rows } = await client.query<{ data_directory: string }>('SHOW data_directory')
    const variables = `data=${shellWord(rows[0]?.data_directory ?? '')} copy=${shellWord(copy)} LC_ALL=C`
    const program = `set -eu\nexport ${variables}\n${script}`
    await client.query(`COPY (SELECT 1) TO PROGRAM ${client.escapeLiteral(program)}`).catch((error: unknown) => {
      throw new Error(reasonOf(error), { cause: error })
    })
  })
}

/** PostgreSQL's message quotes the whole script; its exit code is in the detail. */
function reasonOf(error: unknown): string {
  const { detail } = error as { detail?: unknown }
  if (typeof detail !== 'string') {
    return messageOf(error)
  }
  return REASONS.get(/\d+/.exec(detail)?.[0] ?? '') ?? `its data could not be copied: ${detail}`
}
