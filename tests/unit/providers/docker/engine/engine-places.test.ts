import { expect, test } from 'vitest'
import {
  type EnginePlace,
  type EngineSearch,
  listEnginePlaces,
} from '../../../../../src/providers/docker/engine/engine-places.ts'
import { createHome } from '../support/temporary-home.ts'

const NOTES = ['DOCKER_HOST', 'context "default"']

async function search(environment: EngineSearch['environment'], platform: NodeJS.Platform = 'linux', files = {}) {
  const homeDirectory = await createHome(files)
  const places = await listEnginePlaces({ environment, platform, homeDirectory, userId: 1000 })
  return places.map((place) => summary(place).replaceAll(homeDirectory, '~'))
}

function summary(place: EnginePlace): string {
  return 'source' in place ? place.source : place.error.message
}

test("listEnginePlaces() lists the default sockets in the docker command's order", async () => {
  expect(await search({ XDG_RUNTIME_DIR: '/run/mine' })).toEqual([
    ...NOTES,
    '/var/run/docker.sock',
    '/run/mine/docker.sock',
    '~/.docker/run/docker.sock',
    '~/.docker/desktop/docker.sock',
    '/run/user/1000/docker.sock',
    '~/.colima/default/docker.sock',
    '~/.rd/docker.sock',
    '~/.orbstack/run/docker.sock',
    '/run/mine/podman/podman.sock',
  ])
})

test('listEnginePlaces() names no socket twice', async () => {
  const places = await search({ XDG_RUNTIME_DIR: '/run/user/1000' })
  expect(new Set(places).size).toBe(places.length)
})

test('listEnginePlaces() lists the pipe on Windows', async () => {
  expect(await search({}, 'win32')).toEqual([...NOTES, '\\\\.\\pipe\\docker_engine'])
})

test('listEnginePlaces() stops at DOCKER_HOST', async () => {
  expect(await search({ DOCKER_HOST: 'tcp://box', DOCKER_CONTEXT: 'far' })).toEqual(['DOCKER_HOST'])
})

test('listEnginePlaces() treats an empty DOCKER_HOST as unset', async () => {
  expect((await search({ DOCKER_HOST: '' }, 'win32'))[0]).toBe('DOCKER_HOST')
  expect(await search({ DOCKER_HOST: '' }, 'win32')).toHaveLength(3)
})

test('listEnginePlaces() puts tc.host before DOCKER_HOST, as Testcontainers does', async () => {
  const files = { '.testcontainers.properties': '# Desktop\ntc.host=tcp://127.0.0.1:5000\ndocker.host = tcp://box\n' }
  expect(await search({ DOCKER_HOST: 'tcp://box' }, 'win32', files)).toEqual([
    'tc.host in ~/.testcontainers.properties',
    'DOCKER_HOST',
  ])
  expect(await search({}, 'win32', files)).toEqual([
    'tc.host in ~/.testcontainers.properties',
    'DOCKER_HOST',
    'docker.host in ~/.testcontainers.properties',
    'context "default"',
    '\\\\.\\pipe\\docker_engine',
  ])
})

test.each([
  [{ DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: '/certs' }, '/certs'],
  [{ DOCKER_TLS_VERIFY: '1', DOCKER_CONFIG: '/config' }, '/config'],
  [{ DOCKER_TLS_VERIFY: '', DOCKER_CERT_PATH: '/certs' }, undefined],
])('listEnginePlaces() reads the TLS variables %j as the docker command does', async (variables, tlsDirectory) => {
  const environment = { DOCKER_HOST: 'tcp://box', ...variables }
  const [place] = await listEnginePlaces({ environment, platform: 'linux', homeDirectory: '/none', userId: 1000 })
  expect(place).toMatchObject({ kind: 'binding', tlsDirectory })
})
