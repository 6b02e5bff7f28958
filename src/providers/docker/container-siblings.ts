import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { type Address, type ServiceDefinition, type SiblingServer, siblingPortsOf } from '../../services/service.ts'
import type { Container } from './dockerode-types.ts'

const PORT = '{port}'
const FOLDER = '{folder}'

/**
 * Keeps one process for each port: a line with a port on standard input ends the process there and starts a new one in
 * an empty folder; the end of input ends them all. POSIX sh and busybox's applets only: it runs inside the container.
 */
const SUPERVISOR = `
base=$(mktemp -d) ports=
stop() { eval "pid=\\\${pid_$1:-}"; [ -z "$pid" ] || { kill -9 "$pid"; wait "$pid"; } 2>/dev/null; }
run() {
  port=$1 folder=$2
  shift 2
  for word do
    shift
    case $word in '${PORT}') word=$port ;; '${FOLDER}') word=$folder ;; esac
    set -- "$@" "$word"
  done
  exec "$@"
}
while read -r port; do
  stop "$port"
  rm -rf "\${base:?}/$port"
  mkdir "$base/$port"
  (run "$port" "$base/$port" "$@") </dev/null >/dev/null 2>&1 &
  eval "pid_$port=$!"
  ports="$ports $port"
done
for port in $ports; do stop "$port"; done
rm -rf "\${base:?}"
`

/** The siblings of a service inside its container, started through one exec that lives as long as this process. */
export class ContainerSiblings {
  readonly #container: Container
  readonly #definition: ServiceDefinition
  #supervisor: Promise<Duplex> | undefined
  #closed = false

  constructor(container: Container, definition: ServiceDefinition) {
    this.#container = container
    this.#definition = definition
  }

  servers(addressOf: (port: number) => Address): readonly SiblingServer[] {
    return siblingPortsOf(this.#definition).map((port) => ({
      address: addressOf(port),
      restart: async () => {
        const supervisor = await this.#open()
        if (!supervisor.write(`${port}\n`)) {
          await once(supervisor, 'drain')
        }
      },
    }))
  }

  close(): void {
    this.#closed = true
    void this.#supervisor?.then(
      (stream) => stream.destroy(),
      () => {},
    )
  }

  #open(): Promise<Duplex> {
    this.#supervisor ??= this.#start()
    return this.#supervisor
  }

  async #start(): Promise<Duplex> {
    const command = this.#definition.siblings?.command(PORT, FOLDER) ?? []
    const exec = await this.#container.exec({
      Cmd: ['sh', '-c', SUPERVISOR, 'sh', ...command],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    })
    const stream = await exec.start({ hijack: true, stdin: true })
    stream.on('error', () => {})
    // Read, so that the end of the stream is seen; the script prints nothing.
    stream.resume()
    if (this.#closed) {
      stream.destroy()
    }
    return stream
  }
}
