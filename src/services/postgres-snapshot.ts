import { pbkdf2Sync } from 'node:crypto'
import type { PostgresAddress } from '../environment/variable-set.ts'
import { messageOf } from '../errors.ts'
import { digest } from '../internal/digest.ts'
import { shellWord } from '../internal/shell-word.ts'
import { MARK } from '../internal/names.ts'
import { withPostgres } from './postgres.ts'
import type { ServiceDefinition, SnapshotDefinition } from './service.ts'

/** Changes with the scripts below, so that snapshots of older versions are not used. */
const FORMAT = 2

/** The same number as in PostgreSQL's own verifier, so the key is as resistant to password guessing as the data. */
const PASSWORD_ITERATIONS = 4096

/** Larger data takes longer to copy than most templates take to build. */
const MAX_MEGABYTES = 512

const SCRATCH_DATABASE = `${MARK}flush`

/** Exit code of the script if the server wrote while its data was copied. */
const WRITTEN = '5'

/** Why no copy was made, by the script's exit code. */
const REASONS = new Map([
  ['3', `its data is larger than ${MAX_MEGABYTES} MB`],
  ['4', 'it has tablespaces, replication slots or prepared transactions'],
  [WRITTEN, 'something was written while its data was copied'],
])

/** The server itself writes now and then, as at the end of an autovacuum, so one failed copy says little. */
const COPY_ATTEMPTS = 3

/**
 * Copies the data of an idle server: the control file separately, and all other files into one archive, which is faster
 * to write and read. The copy is valid only if the write-ahead log since the last checkpoint contains only checkpoints.
 */
const COPY = `
umask 077
cd "$data"
[ "$(du -sm . | cut -f 1)" -le ${MAX_MEGABYTES} ] || exit 3
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
case $records in *'desc: CHECKPOINT_ONLINE'*) ;; *) exit ${WRITTEN} ;; esac
others=$(printf '%s\\n' "$records" | grep -vE 'desc: (CHECKPOINT_REDO|CHECKPOINT_ONLINE|RUNNING_XACTS)') || true
[ -z "$others" ] || exit ${WRITTEN}
`

/**
 * Gives a copy a new write-ahead log and marks it as shut down, so that a server starts without recovery, which would empty
 * unlogged tables. A new log segment is zeros after its first page, so only that page is stored.
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

/** Defines the snapshot. Settings, credentials and `templates` are its key, because they determine all of the data. */
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
 * Copies a server's data into a folder where the server runs. It only needs a superuser's connection, so it works with
 * every provider. Nothing else may use the server meanwhile.
 */
export async function copyPostgresData(address: PostgresAddress, copy: string): Promise<void> {
  await withPostgres(address, async (client) => {
    // CHECKPOINT leaves pages of unlogged tables in memory. A file copy of a database writes them, too.
    await client.query(`CREATE DATABASE ${SCRATCH_DATABASE} TEMPLATE template0 STRATEGY FILE_COPY`)
    await client.query(`DROP DATABASE ${SCRATCH_DATABASE}`)
  })
  for (let attempt = 1; ; attempt++) {
    await withPostgres(address, async (client) => client.query('CHECKPOINT'))
    try {
      return await runOnServer(address, { copy, script: COPY })
    } catch (error) {
      if (attempt === COPY_ATTEMPTS || !(error instanceof Error) || exitCodeOf(error.cause) !== WRITTEN) {
        throw error
      }
    }
  }
}

/** Completes a copy, so that a server can start from it. The server may be in use meanwhile. */
export async function sealPostgresCopy(address: PostgresAddress, copy: string): Promise<void> {
  await runOnServer(address, { copy, script: SEAL })
}

/** Runs a POSIX shell script where the server runs, as the server's account. */
async function runOnServer(
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

/** PostgreSQL's message quotes the whole script; how the script ended is in the detail. */
function reasonOf(error: unknown): string {
  const detail = detailOf(error)
  return detail === undefined
    ? messageOf(error)
    : (REASONS.get(exitCodeOf(error) ?? '') ?? `its data could not be copied: ${detail}`)
}

/** Returns the exit code of a program that PostgreSQL ran. */
function exitCodeOf(error: unknown): string | undefined {
  return /\d+/.exec(detailOf(error) ?? '')?.[0]
}

function detailOf(error: unknown): string | undefined {
  const { detail } = error as { detail?: unknown }
  return typeof detail === 'string' ? detail : undefined
}
