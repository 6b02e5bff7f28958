#!/bin/sh
# Entrypoint of the PostgreSQL stand-in: initialise PGDATA once, then become the server.
#
# It answers to the same environment, arguments and init directory as the official image does, so
# that a test that passes here says something about that image. POSIX sh, busybox applets only.
# Not -u: init scripts without the executable bit run inside this shell, and were not written for it.
set -eo pipefail

INIT_DIR=/docker-entrypoint-initdb.d
SOCKET_DIR=/var/run/postgresql
SELF=/usr/local/bin/docker-entrypoint.sh

fail() {
  printf 'Error: %s\n' "$1" >&2
  shift
  [ "$#" -eq 0 ] || printf '       %s\n' "$@" >&2
  exit 1
}

# Sets NAME from NAME, else from the file that NAME_FILE points to, else from the default.
setting() {
  eval "setting_value=\${$1:-} setting_file=\${${1}_FILE:-}"
  if [ -n "$setting_value" ] && [ -n "$setting_file" ]; then
    fail "both $1 and ${1}_FILE are set" "Set only one of the two."
  fi
  if [ -n "$setting_file" ]; then
    [ -r "$setting_file" ] || fail "${1}_FILE points to \"$setting_file\", which cannot be read"
    setting_value=$(cat "$setting_file")
  fi
  export "$1=${setting_value:-$2}"
  unset "${1}_FILE"
}

# Words quoted so that a shell reads them back unchanged: pg_ctl and initdb go through one.
quoted() {
  for quoted_word in "$@"; do
    printf "'%s' " "$(printf '%s' "$quoted_word" | sed "s/'/'\\\\''/g")"
  done
}

# Asking for help or the version needs no database.
only_asks() {
  for asked in "$@"; do
    case $asked in
      -'?' | --help | -V | --version | --describe-config) return 0 ;;
    esac
  done
  return 1
}

is_initialised() {
  [ -s "$PGDATA/PG_VERSION" ]
}

# From 18 on the volume is the parent directory. Data or a mount in the old place would be left
# unused without a word, so the official image refuses it, and so must this one.
refuse_old_layout() {
  old=
  for dir in /var/lib/postgresql /var/lib/postgresql/data; do
    if [ "$dir" != "$PGDATA" ] && [ -s "$dir/PG_VERSION" ]; then old="$dir"; fi
  done
  if [ -z "$old" ] && [ "$PGDATA" != /var/lib/postgresql/data ] &&
    grep -q ' /var/lib/postgresql/data ' /proc/self/mountinfo; then
    old='/var/lib/postgresql/data (unused mount/volume)'
  fi
  [ -z "$old" ] || fail "in 18+, data lives in a directory per major version, but there is something in: $old" \
    "Mount /var/lib/postgresql instead (PGDATA is $PGDATA)."
}

create_directories() {
  mkdir -p "$PGDATA" "$SOCKET_DIR"
  chmod 0700 "$PGDATA" 2>/dev/null || true
  chmod 3775 "$SOCKET_DIR" 2>/dev/null || true
  if [ -n "${POSTGRES_INITDB_WALDIR:-}" ]; then
    mkdir -p "$POSTGRES_INITDB_WALDIR"
    chmod 0700 "$POSTGRES_INITDB_WALDIR"
  fi
  if [ "$(id -u)" = 0 ]; then
    # Only what has another owner: a recursive chown would copy a ready PGDATA up from its layer.
    for dir in "$PGDATA" "$SOCKET_DIR" ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"}; do
      find "$dir" ! -user postgres -exec chown postgres '{}' +
    done
  fi
}

require_password() {
  if [ -z "$POSTGRES_PASSWORD" ] && [ "${POSTGRES_HOST_AUTH_METHOD:-}" != trust ]; then
    fail "the database is not initialised and no superuser password is given" \
      "Set POSTGRES_PASSWORD to a value that is not empty (docker run -e POSTGRES_PASSWORD=…)," \
      "or POSTGRES_HOST_AUTH_METHOD=trust to let everybody in without one."
  fi
  if [ "${POSTGRES_HOST_AUTH_METHOD:-}" = trust ]; then
    echo 'Warning: POSTGRES_HOST_AUTH_METHOD=trust lets everybody in who can reach the port.' >&2
  fi
}

initialise() {
  # A user id that docker run --user made up has no passwd entry, and initdb insists on one.
  if ! id -un >/dev/null 2>&1 && [ -e /usr/lib/libnss_wrapper.so ]; then
    NSS_WRAPPER_PASSWD=$(mktemp)
    NSS_WRAPPER_GROUP=$(mktemp)
    printf 'postgres:x:%s:%s:PostgreSQL:%s:/bin/false\n' "$(id -u)" "$(id -g)" "$PGDATA" >"$NSS_WRAPPER_PASSWD"
    printf 'postgres:x:%s:\n' "$(id -g)" >"$NSS_WRAPPER_GROUP"
    export LD_PRELOAD=/usr/lib/libnss_wrapper.so NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
  fi
  password_file=$(mktemp)
  printf '%s\n' "$POSTGRES_PASSWORD" >"$password_file"
  # eval: POSTGRES_INITDB_ARGS is one string with words, possibly quoted ones.
  eval "initdb --username=$(quoted "$POSTGRES_USER") --pwfile=$(quoted "$password_file")" \
    "${POSTGRES_INITDB_WALDIR:+--waldir=$(quoted "$POSTGRES_INITDB_WALDIR")}" "$POSTGRES_INITDB_ARGS"
  rm -f "$password_file"
  if [ -n "${NSS_WRAPPER_PASSWD:-}" ]; then
    rm -f "$NSS_WRAPPER_PASSWD" "$NSS_WRAPPER_GROUP"
    unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
  fi
}

allow_network_clients() {
  method=${POSTGRES_HOST_AUTH_METHOD:-$(postgres -C password_encryption "$@")}
  printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

# Socket only: whoever waits for the port must not meet this server, which is about to stop.
start_temporary_server() {
  PGUSER=${PGUSER:-$POSTGRES_USER} \
    pg_ctl -D "$PGDATA" -o "$(quoted "$@" -c listen_addresses= -p "${PGPORT:-5432}")" -w start
}

stop_temporary_server() {
  PGUSER=${PGUSER:-postgres} pg_ctl -D "$PGDATA" -m fast -w stop
}

psql_on_socket() {
  PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-password --no-psqlrc --username "$POSTGRES_USER" "$@"
}

# Also for init scripts without the executable bit, which run inside this shell.
docker_process_sql() {
  psql_on_socket --dbname "$POSTGRES_DB" "$@"
}

create_database() {
  exists=$(psql_on_socket --dbname postgres --set db="$POSTGRES_DB" --tuples-only <<'SQL'
SELECT 1 FROM pg_database WHERE datname = :'db';
SQL
  )
  [ -n "$exists" ] || psql_on_socket --dbname postgres --set db="$POSTGRES_DB" <<'SQL'
CREATE DATABASE :"db";
SQL
}

run_init_files() {
  # The pattern expands in the order of the C locale: busybox sh does not collate.
  for file in "$INIT_DIR"/*; do
    case $file in
      *.sh)
        if [ -x "$file" ]; then
          echo "$SELF: running $file"
          "$file"
        else
          echo "$SELF: sourcing $file"
          . "$file"
        fi
        ;;
      *.sql) echo "$SELF: running $file"; docker_process_sql --file "$file" ;;
      *.sql.gz) echo "$SELF: running $file"; gunzip -c "$file" | docker_process_sql ;;
      *.sql.xz) echo "$SELF: running $file"; xzcat "$file" | docker_process_sql ;;
      *.sql.zst) echo "$SELF: running $file"; zstd -dc "$file" | docker_process_sql ;;
      "$INIT_DIR/*") ;;
      *) echo "$SELF: ignoring $file" ;;
    esac
  done
}

case ${1:-} in
  -*) set -- postgres "$@" ;;
esac

if [ "${1:-}" = postgres ] && ! only_asks "$@"; then
  setting POSTGRES_USER postgres
  setting POSTGRES_DB "$POSTGRES_USER"
  setting POSTGRES_PASSWORD ''
  setting POSTGRES_INITDB_ARGS ''

  create_directories
  if [ "$(id -u)" = 0 ]; then
    exec gosu postgres "$SELF" "$@"
  fi

  if is_initialised; then
    printf '\nPostgreSQL Database directory appears to contain a database; Skipping initialization\n\n'
  else
    require_password
    refuse_old_layout
    # Named before the work starts, so that an init directory nobody may read is seen at once.
    ls "$INIT_DIR/" >/dev/null
    initialise
    shift
    allow_network_clients "$@"
    export PGPASSWORD="$POSTGRES_PASSWORD"
    start_temporary_server "$@"
    create_database
    run_init_files
    stop_temporary_server
    unset PGPASSWORD
    set -- postgres "$@"
    printf '\nPostgreSQL init process complete; ready for start up.\n\n'
  fi
fi

exec "$@"
