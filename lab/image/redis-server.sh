#!/bin/sh
# The official image's redis-server is compiled with protected mode off; Debian's is not. This
# stands before it in PATH, so that a server that is started by `docker exec` has it off as well.
case " $* " in
  *protected-mode* | ' -v ' | ' --version ' | ' -h ' | ' --help ' | *' --check-system '* | *' --test-memory '*)
    exec /usr/bin/redis-server "$@"
    ;;
esac

case ${1:-} in
  '') exec /usr/bin/redis-server --protected-mode no ;;
  - | [!-]*)
    # A configuration file comes first; what it says about protected mode stands.
    if [ -f "$1" ] && grep -Eqi '^[[:space:]]*protected-mode[[:space:]]' "$1"; then
      exec /usr/bin/redis-server "$@"
    fi
    ;;
esac
exec /usr/bin/redis-server "$@" --protected-mode no
