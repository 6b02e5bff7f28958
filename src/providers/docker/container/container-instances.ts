import {
  type Address,
  type ServiceDefinition,
  type InstanceAction,
  type ServerInstance,
  instancePortsOf,
} from '../../../services/service.ts'
import { RequestClient } from '../../../internal/requests.ts'
import { onLines } from '../engine/demultiplex.ts'
import type { EngineApi } from '../engine/engine-api.ts'
import { INSTANCE_DATA } from './instance-data.ts'

const PORT = '{port}'
const FOLDER = '{folder}'

/** Timeout for the shutdown of a server, in hundredths of a second. After the timeout, the server is killed. */
const STOP_TIMEOUT = 300

/** Timeout for the exit of the previous run's instances, in hundredths of a second. */
const EXIT_TIMEOUT = 1_000

/**
 * A script that runs one server for each port. A request is a line of standard input: a number, a verb, the port and
 * further words. The answer is a line of standard output: the same number, and an error message if the request failed.
 * When its input ends, the script ends all servers. It runs inside the container, so it uses only POSIX sh and applets
 * of busybox.
 *
 * Each server leads a process group of its own, and so does each child of a PostgreSQL server. Do not kill the children
 * of a server. If the server dies first, the container's first process adopts them, and PostgreSQL restarts itself when
 * it finds a killed child.
 *
 * Each server is started through the image's entrypoint, like the container's main server. The entrypoint may add
 * arguments, set variables and change the account. That account must have access to the server's folder and own the
 * files in it.
 *
 * Arguments: the data folder, a script that fills $base, a script that fills $folder, the signal that ends a server,
 * and the command line of a server.
 */
const SUPERVISOR = `
workplace=$PWD folder_mark='${FOLDER}'
# pg_basebackup skips folders of this name. That matters if $1 is the folder of the data (up to PostgreSQL 17).
# Servers of the run before may still be exiting, on the same ports.
tries=${EXIT_TIMEOUT}
while [ "$tries" -gt 0 ] && [ -n "$(ls -d "$1"/pgsql_tmp.*/ 2>/dev/null)" ]; do
  sleep 0.01
  tries=$((tries - 1))
done
rm -rf "$1"/pgsql_tmp.*/
root=$(mktemp -d -p "$1" pgsql_tmp.XXXXXX) base_script=$2 folder_script=$3 end_signal=$4 ports=
base="$root/base"
chmod 755 "$root"
shift 4
# A server that was just launched may not lead its group yet.
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
  # Repeated: a server that was just launched ignores signals.
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
  await_end ${STOP_TIMEOUT}
  end
}
launch() {
  for word do
    shift
    case $word in '${PORT}') word=$port ;; *"$folder_mark") word=\${word%"$folder_mark"}$folder ;; esac
    set -- "$@" "$word"
  done
  # Some entrypoints change the owner of all files in the working directory; folders of other servers may vanish meanwhile.
  case $folder/ in "$PWD"/*) cd "$folder" ;; esac
  setsid "$@" </dev/null >/dev/null 2>&1 &
  cd "$workplace"
  eval "pid_$port=$!"
}
try() { output=$( (eval "$1") </dev/null 2>&1) || failure="\${output:-it failed without a word}"; }
while read -r request verb port words; do
  folder="$root/$port" failure=
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
  printf '%s %s' "$request" "$failure" | tr '\\n' ' '
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
  /** The id of the container. */
  readonly id: string
  /** A folder in the container's memory, for the data of the instances. */
  readonly folder: string
  /** The entrypoint of the service's image. */
  readonly entrypoint: readonly string[]
}

/**
 * The script's requests. Each resolves when the action is complete. Until then, the previous process may still answer
 * on the port.
 */
type SupervisorMethods = Record<
  InstanceAction | 'base' | 'renew' | 'end',
  (port: number, ...words: readonly string[]) => Promise<void>
>

const ANSWER = /^(\d+) (.*)$/

/**
 * The instances of a service inside its container. A single exec, which lasts as long as this process, starts all of
 * them.
 */
export class ContainerInstances {
  readonly #definition: ServiceDefinition
  readonly #options: ContainerInstancesOptions
  #supervisor: Promise<SupervisorMethods> | undefined
  readonly #closed = new AbortController()

  constructor(definition: ServiceDefinition, options: ContainerInstancesOptions) {
    this.#definition = definition
    this.#options = options
  }

  servers(addressOf: (port: number) => Address): readonly ServerInstance[] {
    return instancePortsOf(this.#definition).map((port) => ({
      address: addressOf(port),
      restart: async (words: readonly string[] = []) => (await this.#open()).renew(port, ...words),
      end: async () => (await this.#open()).end(port),
      control: async (action: InstanceAction) => (await this.#open())[action](port),
    }))
  }

  /** Copies the server's current data, from which instances start. */
  async takeBase(): Promise<void> {
    await (await this.#open()).base(0)
  }

  close(): void {
    this.#closed.abort()
  }

  #open(): Promise<SupervisorMethods> {
    this.#supervisor ??= this.#start().catch((error: unknown) => {
      // The engine may accept the next attempt.
      this.#supervisor = undefined
      throw error
    })
    return this.#supervisor
  }

  async #start(): Promise<SupervisorMethods> {
    const { instances, service } = this.#definition
    const data = INSTANCE_DATA[service.name]
    const { api, id, folder, entrypoint } = this.#options
    const variables = data ? ['env', `${data.folderVariable}=${FOLDER}`] : []
    const scripts = [data?.takeBase ?? '', data?.prepare ?? '']
    const command = [...variables, ...entrypoint, ...(instances?.command(PORT, FOLDER) ?? [])]
    const { signal } = this.#closed
    const stream = await api.exec(id, {
      command: ['sh', '-c', SUPERVISOR, 'sh', folder, ...scripts, instances?.endSignal ?? 'KILL', ...command],
      user: data?.user,
      signal,
    })
    /** The last line that is not an answer. If the exec has failed, it is the reason. */
    let unexpected: readonly string[] = []
    const requests = new RequestClient<SupervisorMethods>({
      send(request) {
        return !stream.destroyed && (stream.write(`${[request.id, request.method, ...request.args].join(' ')}\n`), true)
      },
      get closed() {
        return { message: ['its container has ended', ...unexpected].join(': ') }
      },
    })
    stream.on('close', () => requests.close())
    onLines(stream, (line) => {
      const answer = ANSWER.exec(line)
      if (answer) {
        const [, number, failure = ''] = answer
        const message = failure.trim()
        requests.receive({ id: Number(number), ...(message !== '' && { error: { message } }) })
      } else {
        unexpected = [line.trim()]
      }
    })
    signal.addEventListener('abort', () => stream.destroy())
    if (signal.aborted) {
      stream.destroy()
    }
    return requests.remote
  }
}
