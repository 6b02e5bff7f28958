import type { Duplex } from 'node:stream'
import {
  type Address,
  type ServiceDefinition,
  type InstanceAction,
  type ServerInstance,
  instancePortsOf,
} from '../../../services/service.ts'
import { onLines } from '../engine/demultiplex.ts'
import type { EngineApi } from '../engine/engine-api.ts'

const PORT = '{port}'
const FOLDER = '{folder}'

/** Hundredths of a second that an orderly end may take; then it is ended at once. */
const STOP_TRIES = 300

/** Hundredths of a second that the end of a run's instances may take. */
const LEAVE_TRIES = 1_000

/**
 * Keeps one server for each port, as told by lines of a verb and a port on standard input; the end of input ends them
 * all. A line on standard output says that one is done: an empty one, or what went wrong.
 * POSIX sh and busybox's applets only: it runs inside the container.
 *
 * Each process leads a group of its own, and PostgreSQL's children lead further ones. None of them may be killed behind
 * their parent's back: they would become children of the container's first process, and a PostgreSQL that finds a killed
 * child there restarts itself.
 *
 * The image's entrypoint starts each of them, as it started the container's own server: it may add arguments, set
 * variables and change the account. That account has to reach the folder of its server and own what is in it.
 *
 * Arguments: a folder for their data, a script that fills $base, one that fills $folder, the signal that ends one, its
 * command line.
 */
const SUPERVISOR = `
workplace=$PWD folder_mark='${FOLDER}'
# pg_basebackup passes over such a name, should the folder be that of the data (up to PostgreSQL 17).
# Those of the run before may still be at their end, on the same ports.
tries=${LEAVE_TRIES}
while [ "$tries" -gt 0 ] && [ -n "$(ls -d "$1"/pgsql_tmp.*/ 2>/dev/null)" ]; do
  sleep 0.01
  tries=$((tries - 1))
done
rm -rf "$1"/pgsql_tmp.*/
root=$(mktemp -d -p "$1" pgsql_tmp.XXXXXX) base_script=$2 folder_script=$3 end_signal=$4 ports=
base="$root/base"
chmod 755 "$root"
shift 4
# One that was just launched may not lead its group yet.
signal() { [ -z "$pid" ] || kill "-$1" -- "-$pid" 2>/dev/null || kill "-$1" "$pid" 2>/dev/null; }
signal_children() {
  [ -n "$pid" ] || return
  for status in $(grep -lsx "PPid:[[:space:]]*$pid" /proc/[0-9]*/status); do
    status=\${status%/status}
    kill "-$1" "\${status#/proc/}" 2>/dev/null
  done
}
pause() { signal STOP; signal_children STOP; }
resume() { signal_children CONT; signal CONT; }
runs() { [ -n "$pid" ] && grep -qs '^State:[[:space:]]*[^Z[:space:]]' "/proc/$pid/status"; }
await_end() {
  tries=$1
  while runs && [ "$tries" -gt 0 ]; do
    sleep 0.01
    tries=$((tries - 1))
  done
}
end() {
  # Again, since one that was just launched ignores signals.
  while runs; do
    signal "$end_signal"
    resume
    await_end 20
  done
  [ -z "$pid" ] || wait "$pid" 2>/dev/null
  pid=
  eval "pid_$port="
}
stop() {
  signal INT
  resume
  await_end ${STOP_TRIES}
  end
}
launch() {
  for word do
    shift
    case $word in '${PORT}') word=$port ;; *"$folder_mark") word=\${word%"$folder_mark"}$folder ;; esac
    set -- "$@" "$word"
  done
  # An entrypoint may give all that is in its working directory to its account; folders of other servers come and go.
  case $folder/ in "$PWD"/*) cd "$folder" ;; esac
  setsid "$@" </dev/null >/dev/null 2>&1 &
  cd "$workplace"
  eval "pid_$port=$!"
}
try() { output=$( (eval "$1") </dev/null 2>&1) || said="\${output:-it failed without a word}"; }
while read -r verb port words; do
  folder="$root/$port" said=
  eval "pid=\\\${pid_$port:-}"
  case $verb in
    base) try "$base_script" ;;
    end) end; rm -rf "\${folder:?}" ;;
    renew)
      end
      rm -rf "\${folder:?}"
      mkdir -m 777 "$folder"
      try "$folder_script"
      eval "words_$port=\\$words"
      launch "$@" $words
      ports="$ports $port"
      ;;
    start) end; eval "words=\\\${words_$port:-}"; launch "$@" $words ;;
    stop) stop ;;
    pause) pause ;;
    resume) resume ;;
  esac
  printf '%s' "$said" | tr '\\n' ' '
  echo
done
for port in $ports; do
  eval "pid=\\\${pid_$port:-}"
  end
done
rm -rf "\${root:?}"
`

export interface ContainerInstancesOptions {
  readonly api: EngineApi
  /** The container's. */
  readonly id: string
  /** A folder inside the container that is kept in memory; their data goes there. */
  readonly folder: string
  /** That of the image that the service was asked to be. */
  readonly entrypoint: readonly string[]
}

/** The instances of a service inside its container, started through one exec that lives as long as this process. */
export class ContainerInstances {
  readonly #definition: ServiceDefinition
  readonly #options: ContainerInstancesOptions
  readonly #told: PromiseWithResolvers<void>[] = []
  #supervisor: Promise<Duplex> | undefined
  readonly #closed = new AbortController()

  constructor(definition: ServiceDefinition, options: ContainerInstancesOptions) {
    this.#definition = definition
    this.#options = options
  }

  servers(addressOf: (port: number) => Address): readonly ServerInstance[] {
    return instancePortsOf(this.#definition).map((port) => ({
      address: addressOf(port),
      restart: (words: readonly string[] = []) => this.#tell('renew', port, words),
      end: () => this.#tell('end', port),
      control: (action: InstanceAction) => this.#tell(action, port),
    }))
  }

  /** Fills the folder that their preparation starts from. */
  takeBase(): Promise<void> {
    return this.#tell('base', 0)
  }

  close(): void {
    this.#closed.abort()
    void this.#supervisor?.then(
      (stream) => stream.destroy(),
      () => {},
    )
  }

  /** Resolves when it is done. Until then the port is served by the process that was there before. */
  async #tell(
    verb: InstanceAction | 'base' | 'renew' | 'end',
    port: number,
    words: readonly string[] = [],
  ): Promise<void> {
    const supervisor = await this.#open()
    const done = Promise.withResolvers<void>()
    this.#told.push(done)
    if (supervisor.destroyed) {
      this.#giveUp()
    } else {
      supervisor.write(`${[verb, port, ...words].join(' ')}\n`)
    }
    return done.promise
  }

  #settle(failure: string): void {
    const told = this.#told.shift()
    if (failure === '') {
      told?.resolve()
    } else {
      told?.reject(new Error(failure.trim()))
    }
  }

  #giveUp(): void {
    this.#told.splice(0).forEach(({ reject }) => reject(new Error('its container has ended')))
  }

  #open(): Promise<Duplex> {
    this.#supervisor ??= this.#start().catch((error: unknown) => {
      // An engine that refuses once may not do so the next time.
      this.#supervisor = undefined
      throw error
    })
    return this.#supervisor
  }

  async #start(): Promise<Duplex> {
    const { instances } = this.#definition
    const { api, id, folder, entrypoint } = this.#options
    const { base = '', prepare = '', endSignal = 'KILL', folderVariable } = instances ?? {}
    const variables = folderVariable === undefined ? [] : ['env', `${folderVariable}=${FOLDER}`]
    const command = [...variables, ...entrypoint, ...(instances?.command(PORT, FOLDER) ?? [])]
    const stream = await api.exec(id, {
      command: ['sh', '-c', SUPERVISOR, 'sh', folder, base, prepare, endSignal, ...command],
      user: instances?.user,
      signal: this.#closed.signal,
    })
    stream.on('error', () => {}).on('close', () => this.#giveUp())
    onLines(stream, (failure) => this.#settle(failure))
    if (this.#closed.signal.aborted) {
      stream.destroy()
    }
    return stream
  }
}
