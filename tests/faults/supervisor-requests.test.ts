import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, inject, test } from 'vitest'
import type { InfraOptions } from '../../src/config/infra-options.ts'
import type { ArmedFault, RequestName } from '../e2e/support/engine-faults.ts'
import { installFaultySupervisor, supervisorRequests } from '../e2e/support/supervisor-faults.ts'
import { type EndedRun, VitestRun } from '../e2e/support/run-vitest.ts'
import { mistakeOf, tryRequests } from './support/request-table.ts'

const PROJECT = 'engine-faults'
const consumer = inject('consumer')
let folders = 0

interface Outcome {
  readonly run: EndedRun
  readonly requests: readonly RequestName[]
}

/** A run of the project on local servers with a disturbed supervisor. */
async function runOnce(options: InfraOptions, fault?: ArmedFault): Promise<Outcome> {
  const folder = join(consumer.folder, `${PROJECT}-local-${(folders += 1)}`)
  await cp(join(consumer.folder, PROJECT), folder, { recursive: true })
  await mkdir(join(folder, 'tmp'))
  await installFaultySupervisor(folder, fault)
  const env = { VITEST_INFRA_PROVIDER: 'embedded', OPTIONS: JSON.stringify(options) }
  const run = new VitestRun(folder, { consumer, env }, [])
  try {
    return { run: await run.ended, requests: await supervisorRequests(folder) }
  } finally {
    await run.kill()
    await rm(folder, { recursive: true, force: true })
  }
}

test.for([['redis'], ['postgres', 'redis']] as const)(
  'after any failure of a supervisor request, a run with %s runs its tests or says why',
  { timeout: 3_600_000 },
  async (services) => {
    const options = { services: [...services] }
    const { run, requests } = await runOnce(options)
    expect(mistakeOf(run)).toBeUndefined()
    expect(requests.map(({ name }) => name)).toEqual(expect.arrayContaining(['open', 'reserve', 'start', 'disconnect']))
    expect(await tryRequests(requests, async (fault) => (await runOnce(options, fault)).run)).toBe('')
  },
)
