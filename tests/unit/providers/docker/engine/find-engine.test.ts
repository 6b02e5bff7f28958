import { mkdir } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { InfraError } from '../../../../../src/errors.ts'
import { engineEnvironment, findEngine } from '../../../../../src/providers/docker/engine/find-engine.ts'
import { hangUp, listenOn, staySilent } from '../support/socket-server.ts'
import { contextFile, contextMeta, createHome } from '../support/temporary-home.ts'

interface Attempt {
  readonly homeDirectory: string
  readonly environment?: Record<string, string>
  readonly platform?: NodeJS.Platform
}

/** Windows has one usual place, and nothing is there on other systems. */
async function failure({ platform = 'win32', environment = {}, homeDirectory }: Attempt): Promise<string> {
  const error: unknown = await findEngine({ platform, environment, homeDirectory, userId: 4_000_000 }).catch((e) => e)
  expect(error).toBeInstanceOf(InfraError)
  expect(error).toMatchObject({ code: 'INFRA_ENGINE_UNREACHABLE' })
  return (error as InfraError).message.replaceAll(homeDirectory, '~')
}

test('findEngine() reports a DOCKER_HOST that does not answer', async () => {
  const homeDirectory = await createHome()
  const environment = { DOCKER_HOST: `unix://${homeDirectory}/e.sock`, DOCKER_CONTEXT: 'never-read' }
  expect(await failure({ homeDirectory, environment })).toBe(
    'Cannot reach the container engine at unix://~/e.sock: DOCKER_HOST is set, but nothing answers there (ENOENT)\n' +
      'Start it, or unset DOCKER_HOST to use the current docker context',
  )
})

test('findEngine() reports a DOCKER_HOST that stays silent', async () => {
  const homeDirectory = await createHome()
  await listenOn(join(homeDirectory, 'e.sock'), staySilent)
  const environment = { DOCKER_HOST: `unix://${homeDirectory}/e.sock` }
  expect(await failure({ homeDirectory, environment })).toBe(
    'Cannot reach the container engine at unix://~/e.sock: DOCKER_HOST is set, but nothing answers there within 2 s\n' +
      'Start it, or unset DOCKER_HOST to use the current docker context',
  )
})

test('findEngine() reports a DOCKER_HOST that it cannot read', async () => {
  const homeDirectory = await createHome()
  const environment = { DOCKER_HOST: '/var/run/docker.sock' }
  expect(await failure({ homeDirectory, environment })).toBe(
    'Cannot read the address in DOCKER_HOST: "/var/run/docker.sock" is not that of a container engine\n' +
      'Write unix:///path/to/docker.sock, tcp://host:port or npipe:////./pipe/name, ' +
      'or unset DOCKER_HOST to use the current docker context',
  )
})

test('findEngine() explains how to use an engine over ssh', async () => {
  const homeDirectory = await createHome()
  expect(await failure({ homeDirectory, environment: { DOCKER_HOST: 'ssh://me:secret@box:2222' } })).toBe(
    'Cannot reach the container engine at ssh://me@box:2222: DOCKER_HOST is set, but Testcontainers cannot use an ssh address\n' +
      'Forward its socket with "ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock ssh://me@box:2222" and set ' +
      'DOCKER_HOST=unix:///tmp/docker.sock and TESTCONTAINERS_HOST_OVERRIDE=box, ' +
      'or unset DOCKER_HOST to use the current docker context',
  )
})

test('findEngine() reports TLS files that are missing', async () => {
  const homeDirectory = await createHome()
  const environment = { DOCKER_HOST: 'tcp://localhost:1', DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: '/none' }
  expect(await failure({ homeDirectory, environment })).toMatch(
    /^Cannot .* DOCKER_HOST is set, but the TLS files cannot be read \(ENOENT: .*\/none\/.*\)\nPut the ca\.pem, cert\.pem and/,
  )
})

test('findEngine() reports a current context that does not answer', async () => {
  const homeDirectory = await createHome({
    '.docker/config.json': { currentContext: 'colima' },
    [contextFile('meta', 'colima', 'meta.json')]: contextMeta('tcp://localhost:1'),
  })
  expect(await failure({ homeDirectory })).toBe(
    'Cannot reach the container engine at tcp://localhost:1: context "colima" is the current one, ' +
      'but nothing answers there (ECONNREFUSED)\n' +
      'Start it, or choose another context with "docker context use"',
  )
})

test('findEngine() reports a DOCKER_CONTEXT that does not exist', async () => {
  const homeDirectory = await createHome()
  expect(await failure({ homeDirectory, environment: { DOCKER_CONTEXT: 'colima' } })).toBe(
    'Cannot find the container engine: DOCKER_CONTEXT chooses context "colima", ' +
      'but there is no such context in ~/.docker\n' +
      'Create it with "docker context create", or unset DOCKER_CONTEXT to use the current docker context',
  )
})

test('findEngine() reports a context that skips TLS verification', async () => {
  const homeDirectory = await createHome({
    [contextFile('meta', 'far', 'meta.json')]: contextMeta('tcp://localhost:1', true),
  })
  expect(await failure({ homeDirectory, environment: { DOCKER_CONTEXT: 'far' } })).toContain(
    '\nThe context skips the verification of TLS, which Testcontainers cannot do\n',
  )
})

test('findEngine() lists every place if none answers', async () => {
  const homeDirectory = await createHome({ '.testcontainers.properties': 'tc.host=tcp://localhost:1' })
  expect(await failure({ homeDirectory })).toBe(
    'Cannot reach a container engine: none of the places where the docker command looks answered\n' +
      '  tc.host in ~/.testcontainers.properties: connection refused (ECONNREFUSED)\n' +
      '  DOCKER_HOST: not set\n' +
      '  context "default": the usual sockets\n' +
      '  \\\\.\\pipe\\docker_engine: no such file (ENOENT)\n' +
      'Start Docker, or set DOCKER_HOST to a running engine',
  )
})

const usualSocketIsThere = existsSync('/var/run/docker.sock')

test.skipIf(usualSocketIsThere)('findEngine() asks silent sockets all at once', async () => {
  const homeDirectory = await createHome()
  for (const folder of ['.docker/run', '.docker/desktop', '.colima/default', '.rd']) {
    await mkdir(join(homeDirectory, folder), { recursive: true })
    await listenOn(join(homeDirectory, folder, 'docker.sock'), folder === '.rd' ? hangUp : staySilent)
  }
  const message = await failure({ homeDirectory, platform: 'linux' })
  expect(message).toContain('\n  ~/.docker/desktop/docker.sock: no answer within 2 s\n')
  expect(message).toMatch(/\n {2}~\/\.rd\/docker\.sock: the connection was closed without an answer \(E\w+\)\n/)
})

test('engineEnvironment() has the variables of an engine with TLS', () => {
  const facts = { source: 'DOCKER_HOST', product: 'Docker Engine 28', apiVersion: '1.51' }
  expect(engineEnvironment({ ...facts, host: 'unix:///e.sock' })).toEqual({ DOCKER_HOST: 'unix:///e.sock' })
  expect(engineEnvironment({ ...facts, host: 'tcp://box:2376', tlsDirectory: '/certs' })).toEqual({
    DOCKER_HOST: 'tcp://box:2376',
    DOCKER_TLS_VERIFY: '1',
    DOCKER_CERT_PATH: '/certs',
  })
})
