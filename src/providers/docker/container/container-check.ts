import type { Duplex } from 'node:stream'
import { messageOf } from '../../../errors.ts'
import { onLines } from '../engine/demultiplex.ts'
import type { EngineApi } from '../engine/engine-api.ts'
import type { HealthcheckResult } from '../../../services/service.ts'

/**
 * A script that prints the free space, waits for a line of input, then runs the healthcheck and prints its exit code.
 * It runs inside the container, so it uses only POSIX sh and applets of busybox.
 *
 * An engine takes 50 ms or more to start a program in a container, about as long as a server needs to start. The script
 * is therefore started in parallel with the server.
 *
 * Arguments: the healthcheck's command, the data folder.
 */
const CHECK = `
echo "$(df -P -k "$2" 2>/dev/null | tail -n 1)"
read -r word || exit 0
sh -c "$1" </dev/null 2>&1
printf '\\n%s\\n' "$?"
`

/** Returns the free space in a line of `df -P -k`, in bytes; undefined if it is another line. */
export function freeBytesOf(line: string): number | undefined {
  return Number(line.trim().split(/\s+/)[3]) * 1024 || undefined
}

export interface ContainerCheckOptions {
  readonly api: EngineApi
  /** Id of the container. */
  readonly id: string
  /** The healthcheck's command. */
  readonly command: string
  /** The server's data folder. */
  readonly folder: string
}

/** Runs a container's healthcheck inside it, as the engine does. */
export class ContainerCheck {
  readonly #options: ContainerCheckOptions
  readonly #freeBytes: Promise<number | undefined>
  readonly #closed = new AbortController()
  #next: Promise<ArmedCheck> | undefined

  /** The container must be running. */
  constructor(options: ContainerCheckOptions) {
    this.#options = options
    const first = this.#arm()
    this.#next = first
    this.#freeBytes = first.then(
      (check) => check.freeBytes,
      () => undefined,
    )
  }

  /** Resolves to the free space for data after the container's start, in bytes; undefined if unknown. */
  freeBytes(): Promise<number | undefined> {
    return this.#freeBytes
  }

  async run(): Promise<HealthcheckResult> {
    const armed = this.#next
    this.#next = undefined
    const result = await this.#ask(armed).catch((error: unknown) => ({ passed: false, output: messageOf(error) }))
    if (!result.passed) {
      // A failed check is repeated, so the next one is prepared.
      this.#next = this.#arm()
    }
    return result
  }

  /** Ends the prepared check. Call it after the last check. */
  close(): void {
    // The engine may not have started the prepared check yet.
    this.#closed.abort()
    void this.#next?.then(
      (check) => check.close(),
      () => {},
    )
  }

  async #ask(armed: Promise<ArmedCheck> | undefined): Promise<HealthcheckResult> {
    const check = await (armed?.catch(() => this.#arm()) ?? this.#arm())
    return check.run()
  }

  #arm(): Promise<ArmedCheck> {
    const { api, id, command, folder } = this.#options
    const stream = api.exec(id, { command: ['sh', '-c', CHECK, 'sh', command, folder], signal: this.#closed.signal })
    const arming = stream.then((opened) => new ArmedCheck(opened))
    // Prevents an unhandled rejection. The check that awaits the result handles the failure.
    arming.catch(() => {})
    return arming
  }
}

/** A check that has started in the container and waits for a line of input. */
class ArmedCheck {
  readonly #stream: Duplex
  readonly #lines: string[] = []
  readonly #freeBytes = Promise.withResolvers<number | undefined>()
  readonly #over = Promise.withResolvers<void>()

  constructor(stream: Duplex) {
    this.#stream = stream
    stream.on('close', () => this.#end())
    onLines(stream, (line) => {
      this.#lines.push(line)
      this.#freeBytes.resolve(freeBytesOf(line))
    })
  }

  get freeBytes(): Promise<number | undefined> {
    return this.#freeBytes.promise
  }

  async run(): Promise<HealthcheckResult> {
    this.#stream.write('check\n')
    await this.#over.promise
    const [, ...output] = this.#lines
    const exitCode = output.pop()
    return { passed: exitCode === '0', output: output.join('\n').trimEnd() }
  }

  close(): void {
    this.#stream.destroy()
  }

  #end(): void {
    this.#freeBytes.resolve(undefined)
    this.#over.resolve()
  }
}
