import { ImageName } from 'testcontainers'
import { expect, test } from 'vitest'
import { EngineRefusal } from '../../../../../src/providers/docker/engine/engine-errors.ts'
import { pullFailure } from '../../../../../src/providers/docker/image/pull-failure.ts'

const hub = new ImageName(undefined, 'redis', '8')
const own = new ImageName('ghcr.io', 'me/redis', '8')
const MIRROR = 'or set TESTCONTAINERS_HUB_IMAGE_NAME_PREFIX to a mirror of Docker Hub'

test('pullFailure() has the reason without the status code', () => {
  const reason = "pull access denied for redis, repository does not exist or may require 'docker login' "
  const error = new EngineRefusal(404, JSON.stringify({ message: reason }))
  expect(pullFailure(hub, error)).toMatchObject({
    code: 'INFRA_IMAGE_PULL',
    provider: 'docker',
    cause: expect.objectContaining({ message: error.message }),
  })
  expect(pullFailure(hub, error).message).toBe(
    'Cannot pull image "redis:8": ' +
      "pull access denied for redis, repository does not exist or may require 'docker login'\n" +
      'Check the name "redis:8", or run "docker login" if the image is private',
  )
})

test.each([
  ['toomanyrequests: You have reached your pull rate limit.', hub, `Run "docker login" for a higher limit, ${MIRROR}`],
  ['toomanyrequests: slow down', own, 'Run "docker login ghcr.io" for a higher limit'],
  [
    'manifest for redis:8 not found: manifest unknown',
    hub,
    'Check the name "redis:8", or run "docker login" if the image is private',
  ],
  ['unauthorized: authentication required', own, 'Run "docker login ghcr.io"'],
  [
    'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host',
    hub,
    `Check the network and the proxy of the engine, ${MIRROR}`,
  ],
  ['Get "https://ghcr.io/v2/": net/http: TLS handshake timeout', own, 'Check the network and the proxy of the engine'],
  [
    'Get "https://ghcr.io/v2/": tls: failed to verify certificate: x509: unknown authority',
    own,
    "Make the engine trust the registry's certificate",
  ],
  [
    'no matching manifest for linux/arm64/v8 in the manifest list entries',
    hub,
    "Choose an image that is built for the engine's platform",
  ],
  [
    'write /var/lib/docker/tmp/x: no space left on device',
    hub,
    'Free disk space where the engine runs, such as with "docker system prune"',
  ],
  ['invalid reference format', hub, 'Correct the name "redis:8"'],
  ['something new', hub, 'Run "docker pull redis:8" to see the whole failure'],
])('pullFailure() has a remedy for "%s"', (reason, image, remedy) => {
  expect(pullFailure(image, new Error(reason)).remedy).toBe(remedy)
})

test('pullFailure() includes the given detail', () => {
  const detail = 'It was tried without credentials'
  expect(pullFailure(hub, new Error('unauthorized'), detail).message.split('\n')[1]).toBe(detail)
})
