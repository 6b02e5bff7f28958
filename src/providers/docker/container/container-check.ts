import type { Duplex } from 'node:stream'
import { messageOf } from '../../../errors.ts'
import { onLines } from '../engine/demultiplex.ts'
import type { EngineApi } from '../engine/engine-api.ts'
import { freeBytesOf } from './free-bytes.ts'
import type { HealthcheckResult } from '../../../services/service.ts'

/**
 * Says how much room there is, waits for a word, then asks the healthcheck and says how that ended. An engine takes
 * 50 ms and more to start a program in a container, which is about as long as the server itself: it is started meanwhile.
 * POSIX sh and busybox's applets only: it runs inside the container.
 *
 * Arguments: the healthcheck's command, the folder of data.
 */
const CHECK = `
echo "$(df -P -k "$2" 2>/dev/null | tail -n 1)"
read -r word || exit 0
sh -c "$1" </dev/null 2>&1
printf '\\n%s\\n' "$?"
`

export interface ContainerCheckOptions {
  readonly api: EngineApi
  /** The container's. */
  readonly id: string
  /** The healthcheck's command. */
  readonly command: string
  /** Where the server keeps its data. */
  readonly folder: string
}

/** The healthcheck of a container, asked from inside, as the engine does. */
export class ContainerCheck {
  readonly #options: ContainerCheckOptions
  readonly #freeBytes: Promise<number | undefined>
  readonly #closed = new AbortController()
  #next: Promise<ArmedCheck> | undefined

  /** For a container that runs. */
  constructor(options: ContainerCheckOptions) {
    this.#options = options
    const first = this.#arm()
    this.#next = first
    this.#freeBytes = first.then(
      (check) => check.freeBytes,
      () => undefined,
    )
  }

  /** Room for data when the container had just started, in bytes; undefined where that cannot be known. */
  freeBytes(): Promise<number | undefined> {
    return this.#freeBytes
  }

  async run(): Promise<HealthcheckResult> {
    const armed = this.#next
    this.#next = undefined
    const result = await this.#ask(armed).catch((error: unknown) => ({ passed: false, output: messageOf(error) }))
    if (!result.passed) {
      // It is going to be asked again.
      this.#next = this.#arm()
    }
    return result
  }

  /** To be called after the last check. */
  close(): void {
    // The engine may take longer to begin with it than this process stays.
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
    // The next check rejects with the reason.
    arming.catch(() => {})
    return arming
  }
}

/** A program in the container that waits for the word. */
class ArmedCheck {
  readonly #stream: Duplex
  readonly #lines: string[] = []
  readonly #freeBytes = Promise.withResolvers<number | undefined>()
  readonly #over = Promise.withResolvers<void>()

  constructor(stream: Duplex) {
    this.#stream = stream
    stream.on('error', () => {}).on('close', () => this.#end())
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
