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
import { INSTANCE_DATA } from './instance-data.ts'

const PORT = '{port}'
const FOLDER = '{folder}'

/** Hundredths of a second that an orderly shutdown may take before the process is killed. */
const STOP_TRIES = 300

/** Hundredths of a second that the instances of the run before may take to exit. */
const EXIT_TRIES = 1_000

/**
 * Runs one server for each port. It reads commands from standard input, each a line with a verb and a port, and answers
 * each with a line: an empty one, or the error. When its input ends, it ends all servers.
 * POSIX sh and busybox applets only: it runs inside the container.
 *
 * Each process leads its own process group, and so do PostgreSQL's children. Children must not be killed before their
 * parent: they would become children of process 1, and a PostgreSQL there restarts when it finds a killed child.
 *
 * The image's entrypoint starts each server, as it started the container's own: it may add arguments, set variables and
 * change the account. That account needs access to the server's folder and must own its contents.
 *
 * Arguments: a folder for the data, a script that fills $base, a script that fills $folder, the signal that ends a server,
 * and its command line.
 */
const SUPERVISOR = `
workplace=$PWD folder_mark='${FOLDER}'
# pg_basebackup passes over such a name, should the folder be that of the data (up to PostgreSQL 17).
# Those of the run before may still be at their end, on the same ports.
tries=${EXIT_TRIES}
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
  /** The entrypoint of the service's image. */
  readonly entrypoint: readonly string[]
}

/** The instances of a service in its container, started by one exec that ends with this process. */
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

  /** Copies the server's current data, from which instances start. */
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

  /** Resolves when the command is done. */
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
      // The engine may accept the next time.
      this.#supervisor = undefined
      throw error
    })
    return this.#supervisor
  }

  async #start(): Promise<Duplex> {
    const { instances, service } = this.#definition
    const data = INSTANCE_DATA[service.name]
    const { api, id, folder, entrypoint } = this.#options
    const variables = data ? ['env', `${data.folderVariable}=${FOLDER}`] : []
    const scripts = [data?.takeBase ?? '', data?.prepare ?? '']
    const command = [...variables, ...entrypoint, ...(instances?.command(PORT, FOLDER) ?? [])]
    const stream = await api.exec(id, {
      command: ['sh', '-c', SUPERVISOR, 'sh', folder, ...scripts, instances?.endSignal ?? 'KILL', ...command],
      user: data?.user,
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
