import type { Duplex } from 'node:stream'
import {
  type Address,
  type ServiceDefinition,
  type SiblingAction,
  type SiblingServer,
  siblingPortsOf,
} from '../../services/service.ts'
import { onLines } from './demultiplex.ts'
import type { Container } from './dockerode-types.ts'

const PORT = '{port}'
const FOLDER = '{folder}'

/**
 * Keeps one process for each port, as told by lines of a verb and a port on standard input; the end of input ends them
 * all. An empty line on standard output says that one is done. Each process leads a group of its own, so that
 * PostgreSQL is stopped and frozen with all its processes.
 * POSIX sh and busybox's applets only: it runs inside the container.
 *
 * Arguments: a folder for their data, a script that prepares one in $folder, its command line.
 */
const SUPERVISOR = `
base=$(mktemp -d -p "$1") preparation=$2 ports=
shift 2
signal() { [ -z "$pid" ] || kill "-$1" -- "-$pid" 2>/dev/null; }
end() { signal "$1"; [ -z "$pid" ] || wait "$pid" 2>/dev/null; }
launch() {
  for word do
    shift
    case $word in '${PORT}') word=$port ;; '${FOLDER}') word=$folder ;; esac
    set -- "$@" "$word"
  done
  setsid "$@" </dev/null >/dev/null 2>&1 &
  eval "pid_$port=$!"
}
while read -r verb port; do
  folder="$base/$port"
  eval "pid=\\\${pid_$port:-}"
  case $verb in
    renew)
      end KILL
      rm -rf "\${folder:?}"
      mkdir -m 700 "$folder"
      (eval "$preparation") </dev/null >/dev/null 2>&1
      launch "$@"
      ports="$ports $port"
      ;;
    start) launch "$@" ;;
    stop) end INT ;;
    pause) signal STOP ;;
    resume) signal CONT ;;
  esac
  echo
done
for port in $ports; do
  eval "pid=\\\${pid_$port:-}"
  end KILL
done
rm -rf "\${base:?}"
`

/** The siblings of a service inside its container, started through one exec that lives as long as this process. */
export class ContainerSiblings {
  readonly #container: Container
  readonly #definition: ServiceDefinition
  readonly #folder: string
  readonly #told: PromiseWithResolvers<void>[] = []
  #supervisor: Promise<Duplex> | undefined
  #closed = false

  /** Data goes into `folder`, which is in memory. */
  constructor(container: Container, definition: ServiceDefinition, folder: string) {
    this.#container = container
    this.#definition = definition
    this.#folder = folder
  }

  servers(addressOf: (port: number) => Address): readonly SiblingServer[] {
    return siblingPortsOf(this.#definition).map((port) => ({
      address: addressOf(port),
      restart: () => this.#tell('renew', port),
      control: (action: SiblingAction) => this.#tell(action, port),
    }))
  }

  close(): void {
    this.#closed = true
    void this.#supervisor?.then(
      (stream) => stream.destroy(),
      () => {},
    )
  }

  /** Resolves when it is done: whoever asks the port before is answered by the process that was there before. */
  async #tell(verb: SiblingAction | 'renew', port: number): Promise<void> {
    const supervisor = await this.#open()
    const done = Promise.withResolvers<void>()
    this.#told.push(done)
    if (supervisor.destroyed) {
      this.#giveUp()
    } else {
      supervisor.write(`${verb} ${port}\n`)
    }
    return done.promise
  }

  #giveUp(): void {
    this.#told.splice(0).forEach(({ reject }) => reject(new Error('its container has ended')))
  }

  #open(): Promise<Duplex> {
    this.#supervisor ??= this.#start()
    return this.#supervisor
  }

  async #start(): Promise<Duplex> {
    const { siblings } = this.#definition
    const command = siblings?.command(PORT, FOLDER) ?? []
    const exec = await this.#container.exec({
      Cmd: ['sh', '-c', SUPERVISOR, 'sh', this.#folder, siblings?.prepare ?? '', ...command],
      ...(siblings?.user !== undefined && { User: siblings.user }),
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    })
    const stream = await exec.start({ hijack: true, stdin: true })
    stream.on('error', () => {}).on('close', () => this.#giveUp())
    onLines(stream, () => this.#told.shift()?.resolve())
    if (this.#closed) {
      stream.destroy()
    }
    return stream
  }
}
