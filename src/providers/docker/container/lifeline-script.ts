/**
 * How long a server outlives a connection that broke, as it may on the way to a remote engine, in seconds. So long, a run
 * that went without a word is taken to be coming back.
 */
const RECONNECT_SECONDS = 10

/** What a holder says when it has been left. */
export const LEFT = 'vitest-infra: left for the next run'

/** Marks a tied entrypoint, in place of the shell's own name. */
const TIED = 'vitest-infra-lifeline'

/**
 * Holds a server's life: reads words until its input ends, and ends the server when nobody has taken over within the
 * grace period; at once when the word is `end`. Process 1 gets only signals that it has a handler for: PostgreSQL ends
 * at once by QUIT, Redis by TERM, and an entrypoint, which has neither, when the programs that it runs are killed.
 * POSIX sh and busybox's applets only: it runs inside the container.
 *
 * A server is one run's at a time: that of the claim, a link that names it, since making one is atomic. It is given up by
 * the word `leave`, and by who ends the server, so that nobody comes meanwhile. A visitor who has it is told what the
 * run before has noted, and how much room there is for data; one who does not gets no answer.
 *
 * Arguments: the run, a token that no other holder has, the grace period in seconds and, of a visitor, the folder of data.
 */
const HOLD = `
place=/dev/shm/vitest-infra
claim() { ln -sn "$1" "$place-claim" 2>/dev/null; }
unclaim() { rm -f "$place-claim"; }
end() {
  while :; do
    kill -QUIT 1
    kill -TERM 1
    kill -KILL -1
    sleep 1
  done
}
own() { claim "$1" || [ "$(readlink "$place-claim")" = "$1" ]; }
own "$1" || exit 0
echo "$2" >"$place-holder"
if [ -n "\${4:-}" ]; then
  cat "$place-note" 2>/dev/null || echo
  df -P -k "$4" | tail -n 1
fi
left=
while read -r word rest; do
  case $word in
    end) end ;;
    note) echo "$rest" >"$place-note" ;;
    leave) left=yes; unclaim; echo ${LEFT} ;;
  esac
done
waited=0
while [ "$waited" -lt "$3" ]; do
  sleep 1
  [ "$(cat "$place-holder")" = "$2" ] || exit 0
  waited=$((waited + 1))
  [ -n "$left" ] || [ "$waited" -ne ${RECONNECT_SECONDS} ] || unclaim
done
claim end || own "$1" || exit 0
end
`

/**
 * Starts the first holder on the container's own input.
 *
 * Arguments: the script of the holder, its run, token and grace period, the command line that the container would have had.
 */
const START_HOLDER = `
hold=$1 run=$2 token=$3 grace=$4
shift 4
exec 3<&0
sh -c "$hold" sh "$run" "$token" "$grace" <&3 3<&- 2>/dev/null &
`

/** Starts the holder, then becomes the server. */
const START = `${START_HOLDER}exec "$@" </dev/null 3<&-
`

/**
 * Starts the holder, then the server as a process that any signal can end, as it could not end the first one. What the
 * engine asks the first one for is handed on; the container ends with the server, and as it ended.
 */
const START_BESIDE = `${START_HOLDER}"$@" </dev/null 3<&- &
server=$!
trap 'kill -TERM "$server" 2>/dev/null' INT TERM QUIT
code=0
while kill -0 "$server" 2>/dev/null; do
  wait "$server"
  code=$?
done
exit "$code"
`

/** Whose a server is, and how long it stays when they have gone. */
export interface Hold {
  readonly run: string
  /** @default as long as a connection may take to be made anew */
  readonly graceMs?: number | undefined
}

/** What can be sent to a holder. */
export const WORDS = {
  /** To end the server at once. */
  end: 'end\n',
  /** That the run is over, and the server is for the next one. */
  leave: 'leave\n',
  /** Something to remember for the next run. */
  note: (text: string) => `note ${text}\n`,
}

/** The entrypoint that ties a server to its container's input, around that of an image. */
export function tiedEntrypoint(
  entrypoint: readonly string[],
  hold: Hold,
  { isCustom = false }: { readonly isCustom?: boolean | undefined } = {},
): string[] {
  const prefix = ['sh', '-c', isCustom ? START_BESIDE : START, TIED, HOLD, hold.run, 'first', graceOf(hold)]
  // An image that was committed from a container of ours is tied already.
  const isTied = entrypoint[prefix.indexOf(TIED)] === TIED
  return [...prefix, ...(isTied ? entrypoint.slice(prefix.length) : entrypoint)]
}

/** The command line of one more holder, which takes over from the one before; of a visitor, with the folder of data. */
export function holderCommand(token: string, hold: Hold, folder?: string): string[] {
  return ['sh', '-c', HOLD, 'sh', hold.run, token, graceOf(hold), ...(folder === undefined ? [] : [folder])]
}

function graceOf({ graceMs = RECONNECT_SECONDS * 1000 }: Hold): string {
  return String(Math.max(1, Math.ceil(graceMs / 1000)))
}
