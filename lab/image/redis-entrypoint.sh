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

# As the official one: each module that is there is loaded by an argument, which nobody who starts redis-server gets by itself.
if [ "$1" = redis-server ]; then
  for module in /usr/local/lib/redis/modules/*.so; do
    if [ -f "$module" ] && [ -s "$module" ] && [ -r "$module" ] && [ -x "$module" ]; then
      set -- "$@" --loadmodule "$module"
    fi
  done
fi

exec "$@"
