import type { IncomingMessage } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { unlessAbandoned } from '../../../internal/abortable.ts'
import { demultiplex } from './demultiplex.ts'
import type { EngineAccess } from './engine-address.ts'
import { EngineRefusal, isGone } from './engine-errors.ts'
import { type EngineRequest, requestEngine, upgradeEngine } from './engine-request.ts'

/** The first pause between two requests for an exit code. The pause doubles while the program runs. */
const EXIT_POLL_MS = 20
const LONGEST_EXIT_POLL_MS = 500

/** Longer than a busy engine takes to remove a container. */
const REMOVAL_TIMEOUT_MS = 10_000

/** No timeout: an answer may take long for a large image, and a stream may be silent for hours. */
const UNLIMITED = { timeoutMs: 0 }

export interface EngineInfo {
  readonly ID?: string
  readonly OperatingSystem?: string
  /** The registry that the engine uses for image names without a registry. */
  readonly IndexServerAddress?: string
}

export interface ContainerSummary {
  readonly Id: string
  readonly Names: readonly string[]
  /** The container's state: `created`, `running`, `paused`, `exited`, … */
  readonly State: string
  readonly Labels: Readonly<Record<string, string>>
  readonly Ports: readonly { readonly PublicPort?: number }[] | null
}

/** Results of the healthcheck that the engine runs. */
export interface EngineHealth {
  readonly Status: string
  readonly FailingStreak: number
  /** The last five results, oldest first. */
  readonly Log:
    | readonly { readonly Start: string; readonly End: string; readonly ExitCode: number; readonly Output: string }[]
    | null
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
    /** The published ports, by the port in the container, such as `5432/tcp`. */
    readonly Ports: Readonly<Record<string, readonly { readonly HostPort: string }[] | null>>
  }
}

export interface ImageSummary {
  readonly Id: string
  readonly RepoTags: readonly string[] | null
  readonly Labels: Readonly<Record<string, string>> | null
}

export interface ImageDetails {
  readonly Id: string
  readonly Config?: {
    readonly Entrypoint?: string | readonly string[] | null
    readonly Cmd?: string | readonly string[] | null
    readonly Volumes?: Readonly<Record<string, unknown>> | null
  }
}

/** The settings of a container to create, with the names of the engine's API. */
export interface ContainerSpec {
  readonly Image: string
  readonly Entrypoint: readonly string[]
  readonly Cmd: readonly string[]
  readonly Labels: Readonly<Record<string, string>>
  readonly OpenStdin: boolean
  readonly StdinOnce: boolean
  readonly AttachStdin: boolean
  readonly HostConfig: { readonly AutoRemove: boolean; readonly Tmpfs: Readonly<Record<string, string>> }
}

export interface ExecOptions {
  readonly command: readonly string[]
  readonly user?: string | undefined
  /** Variables in addition to those of the container. Lists of processes do not show them. */
  readonly environment?: Readonly<Record<string, string>>
  /** Whether the program gets a terminal; its output is then not multiplexed. */
  readonly isTerminal?: boolean
  /** Cancels the start. Once the program runs, destroying the stream ends its input. */
  readonly signal?: AbortSignal
  /** Called once the request is sent. Until the engine answers, this process is idle. */
  readonly onWaiting?: (() => void) | undefined
}

/** A program that runs in a container. */
export interface Execution {
  /** The program's input and its multiplexed output. */
  readonly stream: Duplex
  /** Sets the size of the program's terminal. */
  readonly resize: (columns: number, rows: number) => Promise<void>
  /** Resolves to the exit code when the program has exited. */
  readonly exitCode: () => Promise<number>
}

interface ExecutionDetails {
  readonly Running: boolean
  readonly ExitCode: number | null
}

/** Returns a container's name without the slash that the engine puts in front of it. */
export function plainName(name: string): string {
  return name.replace(/^\//, '')
}

/**
 * A client for the engine's API. Testcontainers only creates and starts the containers of services, because loading it
 * takes longer than attaching to running servers.
 *
 * Calls reject with an {@link EngineRefusal} if the engine refuses, and with the connection's error if it breaks.
 */
export class EngineApi {
  readonly #engine: EngineAccess

  constructor(engine: EngineAccess) {
    this.#engine = engine
  }

  async info(): Promise<EngineInfo> {
    return JSON.parse(await this.#ask({ path: '/info' })) as EngineInfo
  }

  /** Lists the containers that have all these labels, running or not. */
  async listContainers(labels: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<ContainerSummary[]> {
    const label = Object.entries(labels).map(([name, value]) => `${name}=${value}`)
    const query = { all: true, filters: JSON.stringify({ label }) }
    return JSON.parse(await this.#ask({ path: '/containers/json', query, signal })) as ContainerSummary[]
  }

  /** Resolves to the details of a container; undefined if it does not exist. */
  inspectContainer(id: string, signal?: AbortSignal): Promise<ContainerDetails | undefined> {
    return this.#find(`/containers/${id}/json`, signal)
  }

  /**
   * Resolves to whether a container is running, which a paused one is too. Resolves to true as well if the request
   * fails: that does not show that the container has stopped, and the next request may succeed.
   */
  isRunning(id: string): Promise<boolean> {
    return this.inspectContainer(id).then(
      (details) => details?.State.Running ?? false,
      () => true,
    )
  }

  /** Creates a container. Resolves to its id. */
  async createContainer(name: string, spec: ContainerSpec, signal?: AbortSignal): Promise<string> {
    const request = { path: '/containers/create', query: { name }, body: spec, signal, ...UNLIMITED }
    return idIn(await this.#ask({ method: 'POST', ...request }))
  }

  async startContainer(id: string, signal?: AbortSignal): Promise<void> {
    await this.#ask({ method: 'POST', path: `/containers/${id}/start`, signal })
  }

  async unpause(id: string, signal?: AbortSignal): Promise<void> {
    await this.#ask({ method: 'POST', path: `/containers/${id}/unpause`, signal })
  }

  /** Opens a stream of a container's input and its multiplexed output. The container need not be started yet. */
  attach(id: string, signal?: AbortSignal): Promise<Duplex> {
    const query = { stream: true, stdin: true, stdout: true, stderr: true }
    return upgradeEngine(this.#engine, { method: 'POST', path: `/containers/${id}/attach`, query, signal })
  }

  /**
   * Removes a container, running or not, in one request. A clean shutdown would save nothing, because the data is in
   * memory. If the engine is already removing the container because its server has exited, waits until its name and
   * port are free.
   *
   * Keeps this process alive until the container is removed. If `abandon` aborts before, resolves at once, and the engine
   * completes the removal.
   */
  async removeContainer(idOrName: string, abandon?: AbortSignal): Promise<void> {
    const removed = this.#remove(idOrName, abandon)
    await (abandon ? unlessAbandoned(removed, abandon) : removed)
  }

  /**
   * Resolves to the last `count` lines of a container's log. None of them is older than `sinceMs`, a Unix time in
   * milliseconds.
   */
  async readLog(
    id: string,
    { count, sinceMs = 0 }: { readonly count: number | 'all'; readonly sinceMs?: number },
  ): Promise<string> {
    // Whole seconds, because not every engine accepts fractions.
    const query = { stdout: true, stderr: true, tail: count, since: Math.floor(sinceMs / 1000) }
    return demultiplex(await buffer(await requestEngine(this.#engine, { path: `/containers/${id}/logs`, query })))
  }

  /** Streams a container's whole log, multiplexed, and then its new output until the signal aborts. */
  async followLog(id: string, signal?: AbortSignal): Promise<IncomingMessage> {
    const query = { stdout: true, stderr: true, follow: true }
    return requestEngine(this.#engine, { path: `/containers/${id}/logs`, query, signal, ...UNLIMITED })
  }

  /** Streams events of these kinds of a container, as lines of JSON, from now on. */
  watchEvents(id: string, kinds: readonly string[], signal?: AbortSignal): Promise<IncomingMessage> {
    const query = { filters: JSON.stringify({ container: [id], event: kinds }) }
    return requestEngine(this.#engine, { path: '/events', query, signal, ...UNLIMITED })
  }

  /** Streams a folder of a container as a tar archive. */
  readArchive(id: string, path: string, signal?: AbortSignal): Promise<IncomingMessage> {
    return requestEngine(this.#engine, { path: `/containers/${id}/archive`, query: { path }, signal, ...UNLIMITED })
  }

  /** Unpacks a tar archive into a folder of a container. */
  async writeArchive(id: string, path: string, archive: Readable, signal?: AbortSignal): Promise<void> {
    const request = { path: `/containers/${id}/archive`, query: { path }, archive, signal, ...UNLIMITED }
    await this.#ask({ method: 'PUT', ...request })
  }

  /** Creates an untagged image from a container's files. Resolves to the image's id. */
  async commit(id: string, labels: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<string> {
    const query = { container: id, pause: false }
    const request = { path: '/commit', query, body: { Labels: labels }, signal, ...UNLIMITED }
    return idIn(await this.#ask({ method: 'POST', ...request }))
  }

  /** Resolves to the details of an image by its name or id; undefined if it does not exist. */
  findImage(name: string, signal?: AbortSignal): Promise<ImageDetails | undefined> {
    return this.#find(`/images/${encodeURI(name)}/json`, signal)
  }

  /** Lists the images with a label. `label` is its name, or its name and value with `=` between them. */
  async listImages(label: string, signal?: AbortSignal): Promise<ImageSummary[]> {
    const query = { filters: JSON.stringify({ label: [label] }) }
    return JSON.parse(await this.#ask({ path: '/images/json', query, signal })) as ImageSummary[]
  }

  async tagImage(id: string, name: string, signal?: AbortSignal): Promise<void> {
    const { repository: repo, tag } = splitTag(name)
    await this.#ask({ method: 'POST', path: `/images/${id}/tag`, query: { repo, tag }, signal })
  }

  async removeImage(name: string, options: { readonly force: boolean; readonly signal?: AbortSignal | undefined }) {
    const { force, signal } = options
    await this.#ask({ method: 'DELETE', path: `/images/${encodeURI(name)}`, query: { force }, signal, ...UNLIMITED })
  }

  /** Starts a pull. Resolves to its progress as a stream of JSON lines, which ends with the pull. */
  pullImage(name: string, options: { readonly credentials: object | undefined; readonly signal: AbortSignal }) {
    const { credentials, signal } = options
    const { repository: fromImage, tag } = splitTag(name)
    const headers: Record<string, string> = credentials ? { 'x-registry-auth': encodeCredentials(credentials) } : {}
    const request = { path: '/images/create', query: { fromImage, tag }, headers, signal, ...UNLIMITED }
    return requestEngine(this.#engine, { method: 'POST', ...request })
  }

  /** Starts a program in a container. Resolves to a stream of its input and its multiplexed output. */
  async exec(id: string, options: ExecOptions): Promise<Duplex> {
    return (await this.execute(id, options)).stream
  }

  /** Starts a program like `exec`, and also provides its exit code. */
  async execute(id: string, options: ExecOptions): Promise<Execution> {
    const { command, user, signal, onWaiting, environment = {}, isTerminal = false } = options
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
      signal,
    })
    const execution = `/exec/${idIn(created)}`
    const body = { Detach: false, Tty: isTerminal }
    const upgraded = upgradeEngine(this.#engine, { method: 'POST', path: `${execution}/start`, body, signal })
    if (onWaiting) {
      setImmediate(onWaiting)
    }
    return {
      stream: await upgraded,
      resize: async (w, h) => {
        await this.#ask({ method: 'POST', path: `${execution}/resize`, query: { w, h } })
      },
      exitCode: () => this.#exitCodeOf(execution),
    }
  }

  async #exitCodeOf(execution: string): Promise<number> {
    for (let pauseMs = EXIT_POLL_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_EXIT_POLL_MS)) {
      const answer = JSON.parse(await this.#ask({ path: `${execution}/json` })) as ExecutionDetails
      if (!answer.Running) {
        return answer.ExitCode ?? 1
      }
      await sleep(pauseMs)
    }
  }

  async #remove(idOrName: string, abandon: AbortSignal | undefined): Promise<void> {
    const path = `/containers/${encodeURIComponent(idOrName)}`
    try {
      await this.#ask({ method: 'DELETE', path, query: { force: true, v: true }, abandon })
    } catch (error) {
      if (!isGone(error)) {
        throw error
      }
      if ((error as EngineRefusal).statusCode === 409) {
        const wait = { path: `${path}/wait`, query: { condition: 'removed' }, abandon, timeoutMs: REMOVAL_TIMEOUT_MS }
        await this.#ask({ method: 'POST', ...wait }).catch(() => {})
      }
    }
  }

  async #find<T>(path: string, signal: AbortSignal | undefined): Promise<T | undefined> {
    try {
      return JSON.parse(await this.#ask({ path, signal })) as T
    } catch (error) {
      if (error instanceof EngineRefusal && error.statusCode === 404) {
        return undefined
      }
      throw error
    }
  }

  async #ask(request: EngineRequest): Promise<string> {
    return text(await requestEngine(this.#engine, request))
  }
}

function idIn(answer: string): string {
  return (JSON.parse(answer) as { Id: string }).Id
}

/** Splits an image's name into the repository and the tag or digest. A port in the registry's name is neither. */
function splitTag(name: string): { repository: string; tag: string } {
  const [, repository = name, digest, tag = 'latest'] = /^([^@]*?)(?:@(.*)|:([^:/]*))?$/s.exec(name) ?? []
  return { repository, tag: digest ?? tag }
}

/**
 * Encodes credentials as Base64 in the alphabet of URLs. Engines require the padding, which Node's `base64url` leaves
 * out.
 */
function encodeCredentials(credentials: object): string {
  return Buffer.from(JSON.stringify(credentials)).toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}
