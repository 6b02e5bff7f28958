import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { engine } from './containers.ts'

/** A proxy socket in front of the real engine until the end of the test; its connections can be paused and closed. */
export class EngineProxy {
  /** For `DOCKER_HOST`. */
  readonly host: string
  readonly #sockets = new Set<Socket>()
  readonly #server = createServer((client) => void this.#serve(client))
  readonly #target: Target
  #frozen: Promise<void> | undefined
  #served = 0
  #thaw: () => void = () => {}

  private constructor(path: string, target: Target) {
    this.host = `unix://${path}`
    this.#target = target
    this.#server.listen(path)
  }

  static async open(): Promise<EngineProxy> {
    const target = await engineTarget()
    const folder = await mkdtemp(join(tmpdir(), 'vitest-infra-proxy-'))
    const proxy = new EngineProxy(join(folder, 'docker.sock'), target)
    await once(proxy.#server, 'listening')
    onTestFinished(async () => {
      await proxy.shut()
      await rm(folder, { recursive: true, force: true })
    })
    return proxy
  }

  /** Number of connections so far. */
  get served(): number {
    return this.#served
  }

  /** Stops forwarding, as if the engine did not answer. */
  freeze(): void {
    this.#frozen = new Promise((resolve) => (this.#thaw = resolve))
    this.#sockets.forEach((socket) => socket.pause())
  }

  thaw(): void {
    this.#frozen = undefined
    this.#sockets.forEach((socket) => socket.resume())
    this.#thaw()
  }

  /** Closes all open connections. */
  cut(): void {
    this.#sockets.forEach((socket) => socket.destroy())
    this.#sockets.clear()
  }

  /** Closes all open connections, and accepts no new ones. */
  async shut(): Promise<void> {
    this.#thaw()
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#sockets.forEach((socket) => socket.destroy())
    await closed
  }

  async #serve(client: Socket): Promise<void> {
    this.#served += 1
    this.#sockets.add(client)
    client.on('error', () => {})
    await this.#frozen
    const upstream = connect('socketPath' in this.#target ? { path: this.#target.socketPath } : this.#target)
    this.#sockets.add(upstream)
    client.on('close', () => upstream.destroy())
    upstream.on('error', () => {}).on('close', () => client.destroy())
    client.pipe(upstream).pipe(client)
  }
}

export type Target = { socketPath: string } | { host: string; port: number }

/** The address of the real engine. */
export async function engineTarget(): Promise<Target> {
  const { socketPath, host, port } = (await engine()).modem as { socketPath?: string; host?: string; port?: string }
  return socketPath ? { socketPath } : { host: host ?? '', port: Number(port) }
}
