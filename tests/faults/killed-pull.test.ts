import { describe, expect, inject, test } from 'vitest'
import { searchHere } from '../../src/providers/docker/engine/engine-places.ts'
import { findEngine } from '../../src/providers/docker/engine/find-engine.ts'
import { engine } from '../e2e/support/containers.ts'
import { startVitest } from '../e2e/support/run-vitest.ts'
import { reachesRegistry, startRegistry } from '../integration/image-registry.ts'
import { expectNothingLeft } from './support/left-of-run.ts'

const consumer = inject('consumer')
const docker = await engine()
const { Arch: architecture } = await docker.version()
const isHere = await reachesRegistry(await findEngine(searchHere(process.env)))

describe.skipIf(!isHere)('with a registry on this machine', () => {
  test.for(['SIGKILL', 'SIGINT'] as const)('%s during a pull leaves nothing', async (signal) => {
    const asked = Promise.withResolvers<void>()
    const { image } = await startRegistry({
      architecture,
      sendLayer(response, { length }) {
        response.writeHead(200, { 'Content-Length': length }).write('a')
        asked.resolve()
      },
    })
    const run = await startVitest('faults', { consumer, env: { VITEST_INFRA_REDIS_IMAGE: image } })
    await asked.promise
    run.signal(signal)
    const { exitCode } = await run.ended
    expect(exitCode).toBe(signal === 'SIGINT' ? 130 : null)
    await run.forgetFiles()
    await expectNothingLeft(run)
  })
})
