import { expect, onTestFinished, test, vi } from 'vitest'
import { EngineApi } from '../../src/providers/docker/engine/engine-api.ts'
import { searchHere } from '../../src/providers/docker/engine/engine-places.ts'
import { findEngine } from '../../src/providers/docker/engine/find-engine.ts'
import { ensureImage } from '../../src/providers/docker/image/pull-image.ts'
import { reachesRegistry, startRegistry } from './image-registry.ts'

const engine = await findEngine(searchHere(process.env))

// In its own file: Testcontainers reads DOCKER_AUTH_CONFIG once, when it is first imported.
test.skipIf(!(await reachesRegistry(engine)))('ensureImage() sends the credentials of a registry', async () => {
  // Base64 has a "+" or a "/" for it, whatever comes before.
  const credentials = 'reader:>>>???>>>'
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const { image } = await startRegistry({ architecture, credentials })
  const auths = { [image.split('/')[0] ?? '']: { auth: Buffer.from(credentials).toString('base64') } }
  vi.stubEnv('DOCKER_AUTH_CONFIG', JSON.stringify({ auths }))
  onTestFinished(() => void vi.unstubAllEnvs())
  const api = new EngineApi(engine)
  const { signal } = new AbortController()
  const anonymous = await api.pullImage(image, { credentials: undefined, signal }).then(
    () => 'accepted',
    (error: Error) => error.message,
  )
  expect(anonymous).toContain('no basic auth credentials')
  onTestFinished(() => api.removeImage(image, { force: true }))
  expect(await ensureImage({ api, image, signal, report: () => {} })).toBe(image)
})
