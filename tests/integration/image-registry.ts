import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { onTestFinished } from 'vitest'
import { EngineApi } from '../../src/providers/docker/engine/engine-api.ts'
import type { Engine } from '../../src/providers/docker/engine/find-engine.ts'

/** Whether an engine sees the registry, which listens on this machine's 127.0.0.1. */
export async function reachesRegistry(engine: Engine): Promise<boolean> {
  const { OperatingSystem } = await new EngineApi(engine).info()
  return process.platform === 'linux' && engine.host.startsWith('unix:') && OperatingSystem !== 'Docker Desktop'
}

export interface RegistryOptions {
  /** The engine's names for processor architectures. */
  readonly architecture: string
  /** How a request for the image's one layer is answered; at once and in full unless said otherwise. */
  readonly sendLayer?: (response: ServerResponse, layer: Buffer) => unknown
  /** The refusal with which every request for the image is answered. */
  readonly refusal?: { readonly status: number; readonly code: string; readonly message: string }
  /** The `user:password` that every request must carry. */
  readonly credentials?: string
}

interface Blob {
  readonly type: string
  readonly bytes: Buffer
}

/**
 * As much of a registry as an engine needs to pull one image of one layer, new each time; a real one cannot be reached
 * everywhere. Engines trust plain HTTP on 127.0.0.1. Returns the image's name and the size of its layer.
 */
export async function startRegistry(options: RegistryOptions): Promise<{ image: string; layerBytes: number }> {
  const { blobs, layer } = createImage(options.architecture)
  const server = createServer((request, response) => {
    const blob = blobs.get(request.url?.split('/').at(-1) ?? '')
    if (!isAllowed(request.headers.authorization, options)) {
      response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="private"' }).end('{}')
    } else if (blob && options.refusal) {
      const { status, ...error } = options.refusal
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify({ errors: [error] }))
    } else if (blob?.bytes === layer && options.sendLayer) {
      void options.sendLayer(response, layer)
    } else {
      response.writeHead(blob || request.url === '/v2/' ? 200 : 404, blob && headersOf(blob))
      response.end(request.method === 'HEAD' ? undefined : blob?.bytes)
    }
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { image: `127.0.0.1:${port}/vitest-infra/pulled:1`, layerBytes: layer.length }
}

function isAllowed(authorization: string | undefined, { credentials }: RegistryOptions): boolean {
  return credentials === undefined || authorization === `Basic ${Buffer.from(credentials).toString('base64')}`
}

/** Sends a layer in twenty pieces, one every 50 ms. */
export async function sendSlowly(response: ServerResponse, layer: Buffer): Promise<void> {
  const size = Math.ceil(layer.length / 20)
  response.writeHead(200, { 'Content-Length': layer.length })
  for (let offset = 0; offset < layer.length && !response.destroyed; offset += size) {
    response.write(layer.subarray(offset, offset + size))
    await sleep(50)
  }
  response.end()
}

function createImage(architecture: string): { blobs: ReadonlyMap<string, Blob>; layer: Buffer } {
  const tar = archiveOf(randomBytes(2_000_000))
  const layer = gzipSync(tar)
  const configType = 'application/vnd.docker.container.image.v1+json'
  const layerType = 'application/vnd.docker.image.rootfs.diff.tar.gzip'
  const rootfs = { type: 'layers', diff_ids: [digestOf(tar)] }
  const config = Buffer.from(JSON.stringify({ architecture, os: 'linux', config: {}, rootfs }))
  const type = 'application/vnd.docker.distribution.manifest.v2+json'
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: type,
      config: { mediaType: configType, size: config.length, digest: digestOf(config) },
      layers: [{ mediaType: layerType, size: layer.length, digest: digestOf(layer) }],
    }),
  )
  const blobs = new Map([
    ['1', { type, bytes: manifest }],
    [digestOf(manifest), { type, bytes: manifest }],
    [digestOf(config), { type: configType, bytes: config }],
    [digestOf(layer), { type: layerType, bytes: layer }],
  ])
  return { blobs, layer }
}

/** An archive of one file: the header's fields are name, mode, size, checksum and magic. */
function archiveOf(content: Buffer): Buffer {
  const header = Buffer.alloc(512)
  header.write('file')
  header.write('0000644', 100)
  header.write(content.length.toString(8).padStart(11, '0'), 124)
  header.write(' '.repeat(8), 148)
  header.write('ustar\u000000', 257)
  const checksum = header.reduce((sum, byte) => sum + byte, 0)
  header.write(`${checksum.toString(8).padStart(6, '0')}\0`, 148)
  const padding = (512 - (content.length % 512)) % 512
  return Buffer.concat([header, content, Buffer.alloc(padding + 1_024)])
}

function headersOf({ type, bytes }: Blob): Record<string, string | number> {
  return { 'Content-Type': type, 'Content-Length': bytes.length, 'Docker-Content-Digest': digestOf(bytes) }
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
