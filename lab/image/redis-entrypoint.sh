#!/bin/sh
# Entrypoint of the Redis stand-in. POSIX sh, busybox applets only.
set -eu

case ${1:-} in
  '' | -* | *.conf) set -- redis-server "$@" ;;
esac

case $1 in
  redis-server | redis-sentinel)
    if [ "$(id -u)" = 0 ] && [ -z "${SKIP_DROP_PRIVS:-}" ]; then
      [ -n "${SKIP_FIX_PERMS:-}" ] || find . ! -user redis -exec chown redis '{}' +
      exec gosu redis "$0" "$@"
    fi
    ;;
esac

# Dumps are nobody else's to read.
[ "$(umask)" != 0022 ] || umask 0077

exec "$@"
