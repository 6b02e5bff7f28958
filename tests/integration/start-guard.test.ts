import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { homedir, userInfo } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { LABEL } from '../../src/internal/names.ts'
import { connectTestcontainers } from '../../src/providers/docker/engine/connect-testcontainers.ts'
import { findEngine } from '../../src/providers/docker/engine/find-engine.ts'
import { EngineApi } from '../../src/providers/docker/engine/engine-api.ts'
import { StartGuard } from '../../src/providers/docker/container/start-guard.ts'
import type { Container } from '../support/dockerode.ts'

const PROCESS = fileURLToPath(new URL('../../src/providers/docker/container/start-guard-process.ts', import.meta.url))

const { platform, env: environment } = process
const engine = await findEngine({ platform, environment, homeDirectory: homedir(), userId: userInfo().uid })
const { dockerode } = (await connectTestcontainers(engine, environment)).container

/** It has no owner, so no run sweeps it. */
async function create(runId: string): Promise<Container> {
  const container = await dockerode.createContainer({
    Image: 'redis:8-alpine',
    Cmd: ['sleep', '60'],
    Labels: { [LABEL.run]: runId },
  })
  onTestFinished(() => new EngineApi(engine).removeContainer(container.id))
  return container
}

function stateOf(container: Container): Promise<string> {
  return container.inspect().then(
    ({ State }) => State.Status,
    () => 'gone',
  )
}

function startProcess(runId: string): ChildProcess {
  const child = fork(PROCESS, [runId, engine.host], { execArgv: ['--no-warnings'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

test('created containers that never started are removed once their process is gone', async () => {
  const runId = randomBytes(4).toString('hex')
  const [created, running, other] = [await create(runId), await create(runId), await create('another')]
  await running.start()
  const child = startProcess(runId)
  await sleep(500)
  expect(await stateOf(created)).toBe('created')
  child.disconnect()
  // Like a container whose creation is in progress.
  const late = await create(runId)
  await expect.poll(() => Promise.all([stateOf(created), stateOf(late)]), { timeout: 8_000 }).toEqual(['gone', 'gone'])
  expect(await Promise.all([stateOf(running), stateOf(other)])).toEqual(['running', 'created'])
  await once(child, 'exit')
})

test('a process whose containers all started needs no guard', async () => {
  const runId = randomBytes(4).toString('hex')
  const created = await create(runId)
  const child = startProcess(runId)
  child.send('started')
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(await stateOf(created)).toBe('created')
})

test("StartGuard.during() returns the start's result and guards several starts at once", async () => {
  const guard = new StartGuard({ engine, runId: 'none', environment })
  const starts = [guard.during(async () => 'one'), guard.during(() => Promise.reject(new Error('no room')))]
  expect(await Promise.allSettled(starts)).toMatchObject([{ value: 'one' }, { reason: { message: 'no room' } }])
  expect(await guard.during(async () => 'next')).toBe('next')
})
