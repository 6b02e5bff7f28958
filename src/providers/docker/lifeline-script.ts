/** The grace period: how long a server outlives a connection that broke, as it may on the way to a remote engine. */
const GRACE_SECONDS = '10'

/** Tells a tied entrypoint from others, in the place of the shell's own name. */
const TIED = 'vitest-infra-lifeline'

/**
 * Holds a server's life: reads words until its input ends, and ends the server when nobody has taken over within the
 * grace period; at once when the word is `end`. Process 1 gets only signals that it has a handler for: PostgreSQL ends
 * at once by QUIT, Redis by TERM, and an entrypoint, which has neither, when the programs that it runs are killed.
 * POSIX sh and busybox's applets only: it runs inside the container.
 *
 * Arguments: a token that no other holder has, the grace period in seconds.
 */
const HOLD = `
holder=/dev/shm/vitest-infra-lifeline
end() {
  while :; do
    kill -QUIT 1
    kill -TERM 1
    kill -KILL -1
    sleep 1
  done
}
echo "$1" >"$holder"
while read -r word; do
  [ "$word" != end ] || end
done
waited=0
while [ "$waited" -lt "$2" ]; do
  sleep 1
  [ "$(cat "$holder")" = "$1" ] || exit 0
  waited=$((waited + 1))
done
end
`

/**
 * Starts the first holder on the container's own input, then becomes the server.
 *
 * Arguments: the script of the holder, its token and grace period, the command line that the container would have had.
 */
const START = `
hold=$1 token=$2 grace=$3
shift 3
exec 3<&0
sh -c "$hold" sh "$token" "$grace" <&3 3<&- >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-
`

const PREFIX = ['sh', '-c', START, TIED, HOLD, 'first', GRACE_SECONDS]

/** What a container is told to end at once. */
export const FAREWELL = 'end\n'

/** The entrypoint that ties a server to its container's input, around that of an image. */
export function tiedEntrypoint(entrypoint: readonly string[]): string[] {
  // An image that was committed from a container of ours is tied already.
  const isTied = entrypoint[PREFIX.indexOf(TIED)] === TIED
  return [...PREFIX, ...(isTied ? entrypoint.slice(PREFIX.length) : entrypoint)]
}

/** The command line of one more holder, which takes over from the one before. */
export function holderCommand(token: string): string[] {
  return ['sh', '-c', HOLD, 'sh', token, GRACE_SECONDS]
}
