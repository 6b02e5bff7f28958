import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { homedir, userInfo } from 'node:os'
import { describe, expect, onTestFinished, test } from 'vitest'
import { connectTestcontainers } from '../../src/providers/docker/engine/connect-testcontainers.ts'
import { EngineApi } from '../../src/providers/docker/engine/engine-api.ts'
import { findEngine } from '../../src/providers/docker/engine/find-engine.ts'
import { ensureImage } from '../../src/providers/docker/image/pull-image.ts'
import type { InfraEvent } from '../../src/report/events.ts'
import { reachesRegistry, type RegistryOptions, sendSlowly, startRegistry } from './image-registry.ts'

const { platform, env: environment } = process
const engine = await findEngine({ platform, environment, homeDirectory: homedir(), userId: userInfo().uid })
const client = await connectTestcontainers(engine, environment)
const api = new EngineApi(engine)
const { Arch: architecture } = await client.container.dockerode.version()

const isHere = await reachesRegistry(engine)

async function pull(options: Partial<RegistryOptions>, controller = new AbortController()) {
  const { image, layerBytes } = await startRegistry({ architecture, ...options })
  onTestFinished(() =>
    client.container.dockerode
      .getImage(image)
      .remove()
      .catch(() => {}),
  )
  const events: InfraEvent[] = []
  const ensure = () => ensureImage({ api, image, signal: controller.signal, report: (event) => events.push(event) })
  return { image, layerBytes, events, ensure, result: ensure() }
}

describe.skipIf(!isHere)('with a registry on this machine', () => {
  test('ensureImage() pulls an image once and reports progress', async () => {
    const { image, layerBytes, events, ensure, result } = await pull({ sendLayer: sendSlowly })
    expect(await result).toBe(image)
    expect(events.at(-1)).toEqual({ type: 'pull-finished', image, elapsedMs: expect.any(Number) })
    expect(events.at(-2)).toMatchObject({ type: 'pull-progress', image, layersDone: 1, layersTotal: 1 })
    expect(events.at(-2)).toMatchObject({ bytesDone: layerBytes, bytesTotal: layerBytes })
    expect(events.length).toBeGreaterThan(5)
    const told = events.length
    expect(await ensure()).toBe(image)
    expect(events).toHaveLength(told)
  })

  test("ensureImage() fails with the registry's refusal", async () => {
    const refusal = { status: 429, code: 'TOOMANYREQUESTS', message: 'You have reached your pull rate limit' }
    const { image, result } = await pull({ refusal })
    const [host] = image.split('/')
    await expect(result).rejects.toMatchObject({
      code: 'INFRA_IMAGE_PULL',
      message: expect.stringMatching(
        /^Cannot pull image ".*": .*toomanyrequests: You have reached your pull rate limit/,
      ),
      remedy: `Run "docker login ${host}" for a higher limit`,
    })
  })

  test('ensureImage() fails with an error that arrives during a pull', async () => {
    const { image, result } = await pull({ sendLayer: (response, { length }) => response.end(Buffer.alloc(length)) })
    await expect(result).rejects.toMatchObject({ code: 'INFRA_IMAGE_PULL', message: expect.stringContaining(image) })
  })

  test('ensureImage() stops the pull when the signal aborts', async () => {
    const controller = new AbortController()
    const layer = Promise.withResolvers<ServerResponse>()
    const sendLayer = (response: ServerResponse, bytes: Buffer) => {
      layer.resolve(response)
      return sendSlowly(response, bytes)
    }
    const { result } = await pull({ sendLayer }, controller)
    const response = await layer.promise
    const reason = new Error('the user gave up')
    controller.abort(reason)
    await expect(result).rejects.toBe(reason)
    // The engine lets go of the registry in the middle of the layer.
    await once(response, 'close')
    expect(response.writableFinished).toBe(false)
  })
})
