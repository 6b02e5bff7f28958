import { DETACHED_LINE, LIFELINE_FILES, LIFELINE_PROGRAM } from '../../../internal/names.ts'
/**
 * How long a server outlives a broken connection, in seconds. A connection to a remote engine may break. A run that did
 * not detach can reconnect within this time.
 */
const RECONNECT_SECONDS = 10

/**
 * The script of a holder, which ties the server to a run. It reads words until its input ends. Then it ends the server,
 * unless another holder takes over within the grace period. The word `end` ends the server at once.
 *
 * The script runs inside the container, so it uses only POSIX sh and applets of busybox. Process 1 only gets signals
 * that it handles: QUIT ends PostgreSQL at once, and TERM ends Redis. An entrypoint handles neither, and exits when its
 * programs are killed.
 *
 * One run at a time uses a server. It holds the claim, a symbolic link that contains the run's id, because creating a
 * link is atomic. The word `detach` releases the claim. A holder that ends the server acquires the claim first, so that
 * no run attaches meanwhile.
 *
 * A run that attaches gets an answer only if it has acquired the claim: the note of the previous run, and the free
 * space for data.
 *
 * Arguments: the run, a token that is unique to the holder, the grace period in seconds and, to attach, the data
 * folder.
 */
const HOLD = `
place=${LIFELINE_FILES}
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
detached=
while read -r word rest; do
  case $word in
    end) end ;;
    note) echo "$rest" >"$place-note" ;;
    detach) detached=yes; unclaim; echo ${DETACHED_LINE} ;;
  esac
done
waited=0
while [ "$waited" -lt "$3" ]; do
  sleep 1
  [ "$(cat "$place-holder")" = "$2" ] || exit 0
  waited=$((waited + 1))
  [ -n "$detached" ] || [ "$waited" -ne ${RECONNECT_SECONDS} ] || unclaim
done
claim end || own "$1" || exit 0
end
`

/**
 * A script that starts the first holder on the container's own input.
 *
 * Arguments: the holder's script, the run, its token and its grace period, then the container's original command line.
 */
const START_HOLDER = `
hold=$1 run=$2 token=$3 grace=$4
shift 4
exec 3<&0
sh -c "$hold" sh "$run" "$token" "$grace" <&3 3<&- 2>/dev/null &
`

/** A script that starts the holder, then replaces the shell with the server. */
const START = `${START_HOLDER}exec "$@" </dev/null 3<&-
`

/**
 * A script that starts the holder, then the server as a child: unlike process 1, a child can be ended by any signal. It
 * passes on the engine's signals, and exits with the server's exit code.
 */
const START_AS_CHILD = `${START_HOLDER}"$@" </dev/null 3<&- &
server=$!
trap 'kill -TERM "$server" 2>/dev/null' INT TERM QUIT
code=0
while kill -0 "$server" 2>/dev/null; do
  wait "$server"
  code=$?
done
exit "$code"
`

/** The run that uses a server, and how long the server outlives it. */
export interface Hold {
  readonly run: string
  /**
   * How long the server outlives its run, in milliseconds.
   *
   * @default 10 s, the time to reopen a broken connection
   */
  readonly graceMs?: number | undefined
}

/** The words that a holder understands. */
export const WORDS = {
  /** Ends the server at once. */
  end: 'end\n',
  /** Releases the server for the next run. */
  detach: 'detach\n',
  /** Stores a text for the next run. */
  note: (text: string) => `note ${text}\n`,
}

/** Returns an image's entrypoint, wrapped so that the server ends after its container's input closes. */
export function tiedEntrypoint(
  entrypoint: readonly string[],
  hold: Hold,
  { isCustom = false }: { readonly isCustom?: boolean | undefined } = {},
): string[] {
  const prefix = [
    'sh',
    '-c',
    isCustom ? START_AS_CHILD : START,
    LIFELINE_PROGRAM,
    HOLD,
    hold.run,
    'first',
    graceOf(hold),
  ]
  // An image that was committed from such a container already has a tied entrypoint.
  const isTied = entrypoint[prefix.indexOf(LIFELINE_PROGRAM)] === LIFELINE_PROGRAM
  return [...prefix, ...(isTied ? entrypoint.slice(prefix.length) : entrypoint)]
}

/**
 * Returns the command line of a further holder, which takes over from the previous one. Pass `folder`, the data folder,
 * to attach.
 */
export function holderCommand(token: string, hold: Hold, folder?: string): string[] {
  return ['sh', '-c', HOLD, 'sh', hold.run, token, graceOf(hold), ...(folder === undefined ? [] : [folder])]
}

function graceOf({ graceMs = RECONNECT_SECONDS * 1000 }: Hold): string {
  return String(Math.max(1, Math.ceil(graceMs / 1000)))
}
