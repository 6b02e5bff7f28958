import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { demultiplex } from './demultiplex.ts'
import { parseEngineAddress } from './engine-address.ts'
import { type EngineRequest, refused, requestEngine, upgradeEngine } from './engine-request.ts'
import type { EngineAccess } from './find-engine.ts'

/** It grows while a program runs. */
const EXIT_POLL_MS = 20
const LONGEST_EXIT_POLL_MS = 500

interface ExecutionDetails {
  readonly Running: boolean
  readonly ExitCode: number | null
}

export interface ContainerSummary {
  readonly Id: string
  /** `created`, `running`, `paused`, `exited`, … */
  readonly State: string
  readonly Labels: Readonly<Record<string, string>>
}

/** What the engine's own healthchecks came to. */
export interface EngineHealth {
  readonly Status: string
  readonly FailingStreak: number
  /** The last five, the oldest first. */
  readonly Log:
    | readonly { readonly Start: string; readonly End: string; readonly ExitCode: number; readonly Output: string }[]
    | null
}

export interface ImageDetails {
  readonly Id: string
  readonly Config?: { readonly Entrypoint?: string | readonly string[] | null }
}

export interface ContainerDetails {
  readonly Id: string
  readonly Name: string
  readonly State: {
    readonly Running: boolean
    readonly Paused: boolean
    readonly StartedAt: string
    readonly Health?: EngineHealth
  }
  readonly Config: {
    readonly Labels: Readonly<Record<string, string>>
    readonly Healthcheck?: { readonly Test?: readonly string[]; readonly Retries?: number }
  }
  readonly NetworkSettings: {
    /** By the port inside, such as `5432/tcp`. */
    readonly Ports: Readonly<Record<string, readonly { readonly HostPort: string }[] | null>>
  }
}

export interface ExecOptions {
  readonly command: readonly string[]
  readonly user?: string | undefined
  /** Variables in addition to those of the container; no list of processes shows them. */
  readonly environment?: Readonly<Record<string, string>>
  /** Whether it has a terminal of its own: its output is then not multiplexed. */
  readonly isTerminal?: boolean
  readonly signal?: AbortSignal
  /** Called when everything is said, and the engine has some work before it. */
  readonly onWaiting?: (() => void) | undefined
}

/** A program that runs in a container. */
export interface Execution {
  /** Its input and, multiplexed, its output. */
  readonly stream: Duplex
  /** Of its terminal. */
  readonly resize: (columns: number, rows: number) => Promise<void>
  /** Resolves when it has ended. */
  readonly exitCode: () => Promise<number>
}

/** The engine puts a slash in front of a container's name. */
export function plainName(name: string): string {
  return name.replace(/^\//, '')
}

/**
 * The few calls of the engine's API that a run on servers which are up already gets by with: loading Testcontainers takes
 * longer than all of them.
 */
export class EngineApi {
  readonly #engine: EngineAccess

  constructor(engine: EngineAccess) {
    this.#engine = engine
  }

  /** The containers that have all these labels, running or not. */
  async listContainers(labels: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<ContainerSummary[]> {
    const label = Object.entries(labels).map(([name, value]) => `${name}=${value}`)
    const filters = encodeURIComponent(JSON.stringify({ label }))
    return (await this.#read<ContainerSummary[]>(`/containers/json?all=1&filters=${filters}`, signal)) ?? []
  }

  /** Undefined where there is none. */
  inspectContainer(id: string, signal?: AbortSignal): Promise<ContainerDetails | undefined> {
    return this.#read(`/containers/${id}/json`, signal)
  }

  /** Undefined where there is none of that name. */
  findImage(name: string, signal?: AbortSignal): Promise<ImageDetails | undefined> {
    return this.#read(`/images/${encodeURI(name)}/json`, signal)
  }

  async unpause(id: string, signal?: AbortSignal): Promise<void> {
    await this.#ask({ method: 'POST', path: `/containers/${id}/unpause`, ...(signal && { signal }) })
  }

  /** The last `count` lines of a container's log, none older than `since`, in seconds. */
  async readLog(
    id: string,
    { count, since = 0 }: { readonly count: number | 'all'; readonly since?: number },
  ): Promise<string> {
    const path = `/containers/${id}/logs?stdout=1&stderr=1&tail=${count}&since=${since}`
    return demultiplex(await buffer(await this.#open({ path })))
  }

  /** A container's whole log, multiplexed, and what it will log until the signal. */
  async followLog(id: string, signal?: AbortSignal): Promise<IncomingMessage> {
    const path = `/containers/${id}/logs?stdout=1&stderr=1&follow=1`
    // It may be silent for hours.
    return this.#open({ path, signal, timeoutMs: 0 })
  }

  /** Starts a program in a container; it has the stream for its input and, multiplexed, its output. */
  async exec(id: string, options: ExecOptions): Promise<Duplex> {
    return (await this.execute(id, options)).stream
  }

  /** As `exec`, with the exit code. */
  async execute(id: string, options: ExecOptions): Promise<Execution> {
    const { command, user, signal, onWaiting, environment = {}, isTerminal = false } = options
    const abort = signal && { signal }
    const created = await this.#ask({
      method: 'POST',
      path: `/containers/${id}/exec`,
      body: {
        Cmd: command,
        User: user,
        Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
        Tty: isTerminal,
        AttachStdin: true,
        AttachStdout: true,
        AttachStderr: true,
      },
      ...abort,
    })
    const { Id } = JSON.parse(created) as { Id: string }
    const start = { method: 'POST', path: `/exec/${Id}/start`, body: { Detach: false, Tty: isTerminal } } as const
    const { tlsDirectory } = this.#engine
    const upgraded = upgradeEngine(this.#address, { ...start, tlsDirectory, ...abort })
    if (onWaiting) {
      setImmediate(onWaiting)
    }
    return {
      stream: await upgraded,
      resize: async (columns, rows) => {
        await this.#ask({ method: 'POST', path: `/exec/${Id}/resize?w=${columns}&h=${rows}` })
      },
      exitCode: () => this.#exitCodeOf(Id),
    }
  }

  async #exitCodeOf(execution: string): Promise<number> {
    for (let pauseMs = EXIT_POLL_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_EXIT_POLL_MS)) {
      const answer = JSON.parse(await this.#ask({ path: `/exec/${execution}/json` })) as ExecutionDetails
      if (!answer.Running) {
        return answer.ExitCode ?? 1
      }
      await sleep(pauseMs)
    }
  }

  async #read<T>(path: string, signal: AbortSignal | undefined): Promise<T | undefined> {
    try {
      return JSON.parse(await this.#ask({ path, ...(signal && { signal }) })) as T
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode === 404) {
        return undefined
      }
      throw error
    }
  }

  async #ask(request: Omit<EngineRequest, 'tlsDirectory'>): Promise<string> {
    return text(await this.#open(request))
  }

  /** Rejects what the engine refuses. */
  async #open(request: Omit<EngineRequest, 'tlsDirectory'>): Promise<IncomingMessage> {
    const response = await requestEngine(this.#address, { ...request, tlsDirectory: this.#engine.tlsDirectory })
    if ((response.statusCode ?? 0) >= 300) {
      throw refused(response, await text(response))
    }
    return response
  }

  get #address() {
    const { host, tlsDirectory } = this.#engine
    return parseEngineAddress(host, { tls: tlsDirectory !== undefined })
  }
}
