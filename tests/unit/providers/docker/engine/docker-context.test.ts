import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readDockerContext } from '../../../../../src/providers/docker/engine/docker-context.ts'
import { contextFile, contextMeta, createHome } from '../support/temporary-home.ts'

test('readDockerContext() uses the default sockets without a config.json', async () => {
  const homeDirectory = await createHome()
  expect(await readDockerContext({ environment: {}, homeDirectory })).toEqual({
    kind: 'default',
    note: 'the usual sockets',
  })
})

test('readDockerContext() finds the current context and its TLS files', async () => {
  const homeDirectory = await createHome({
    '.docker/config.json': { currentContext: 'far away' },
    [contextFile('meta', 'far away', 'meta.json')]: contextMeta('tcp://box:2376', true),
    [contextFile('tls', 'far away', 'docker/ca.pem')]: 'ca',
  })
  expect(await readDockerContext({ environment: {}, homeDirectory })).toEqual({
    kind: 'named',
    name: 'far away',
    host: 'tcp://box:2376',
    skipTlsVerify: true,
    tlsDirectory: join(homeDirectory, contextFile('tls', 'far away', 'docker')),
    origin: join(homeDirectory, '.docker/config.json'),
  })
})

test('readDockerContext() prefers DOCKER_CONTEXT to config.json', async () => {
  const homeDirectory = await createHome({
    '.docker/config.json': { currentContext: 'one' },
    [contextFile('meta', 'two', 'meta.json')]: contextMeta('unix:///two.sock'),
  })
  const context = await readDockerContext({ environment: { DOCKER_CONTEXT: 'two' }, homeDirectory })
  expect(context).toMatchObject({ kind: 'named', host: 'unix:///two.sock', origin: 'DOCKER_CONTEXT' })
})

test('readDockerContext() uses the default sockets for DOCKER_CONTEXT=default', async () => {
  const homeDirectory = await createHome({ '.docker/config.json': { currentContext: 'one' } })
  const context = await readDockerContext({ environment: { DOCKER_CONTEXT: 'default' }, homeDirectory })
  expect(context.kind).toBe('default')
})

test('readDockerContext() searches DOCKER_CONFIG', async () => {
  const homeDirectory = await createHome({ 'elsewhere/config.json': { currentContext: 'gone' } })
  const DOCKER_CONFIG = join(homeDirectory, 'elsewhere')
  expect(await readDockerContext({ environment: { DOCKER_CONFIG }, homeDirectory })).toEqual({
    kind: 'missing',
    name: 'gone',
    reason: `there is no such context in ${DOCKER_CONFIG}`,
    origin: join(DOCKER_CONFIG, 'config.json'),
  })
})

test('readDockerContext() reports a context without a docker endpoint', async () => {
  const homeDirectory = await createHome({ [contextFile('meta', 'k8s', 'meta.json')]: { Endpoints: {} } })
  const context = await readDockerContext({ environment: { DOCKER_CONTEXT: 'k8s' }, homeDirectory })
  expect(context).toMatchObject({ kind: 'missing', reason: 'it has no docker endpoint' })
})

// Like the docker command, which warns and continues.
test('readDockerContext() ignores a config.json that is not JSON', async () => {
  const homeDirectory = await createHome({ '.docker/config.json': '{' })
  const context = await readDockerContext({ environment: {}, homeDirectory })
  expect(context).toMatchObject({ kind: 'default', note: expect.stringContaining('config.json: ') })
})
