// Runs in every worker, before the user's setup files and before a test file's imports.
import { relative } from 'node:path'
import { aroundAll, beforeEach, expect, inject } from 'vitest'
import { changedVariables } from './environment/changed-variables.ts'
import type { InfraFacts } from './environment/infra-facts.ts'
import { setVariables } from './environment/set-variables.ts'
import { InfraError } from './errors.ts'
import { readDeclaredTemplate } from './worker/declared-template.ts'
import { currentLease, finishFile, leaseForFile } from './worker/file-lease.ts'
import { errorForAll, type LeaseAccess } from './leasing/lease-client.ts'
import { reportFailures } from './worker/report-failures.ts'

/** The main process answers within seconds; the user's `hookTimeout` does not apply to it. */
const HOOK_TIMEOUT_MS = 30_000

const failure = inject('infra:failure')
if (failure) {
  throw errorForAll(failure)
}
const access = inject('infra:lease')
const before = inject('infra:before') as Readonly<Record<string, string | undefined>> | undefined
const unleased = inject('infra') as InfraFacts | undefined
if (access) {
  await beginFile(access)
} else if (before ?? unleased) {
  // This is a project without services, or list mode, in which Vitest imports the file but does not run it.
  restore(before)
  Object.assign(process.env, unleased?.env)
} else {
  throw new InfraError('INFRA_LEASE_FAILED', {
    problem:
      'Cannot give this file its services: the global setup of vitest-infra did not run for its project, or failed',
    remedy: 'Start Vitest again; the reason was printed when the servers failed to start',
  })
}

function restore(values: Readonly<Record<string, string | undefined>> = {}): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined) {
      delete process.env[name]
    } else {
      process.env[name] = value
    }
  }
}

async function beginFile(lease: LeaseAccess): Promise<void> {
  const file = expect.getState().testPath ?? ''
  const owner = relative(process.cwd(), file)
  const { facts, env } = await leaseForFile(lease, owner, await readDeclaredTemplate(file))
  setVariables(process.env, env)
  // The injected facts describe this file's lease, not the stack's defaults.
  Object.assign(inject('infra'), facts, { env })

  // After the loss of a server, each test fails with its cause, not with a connection error.
  const held = await currentLease()
  beforeEach(() => held?.client.assertNothingLost())

  // The hook that is registered first is the outermost: it runs after all hooks and fixtures in which the user closes
  // connections, whatever `sequence.hooks` is.
  // Vitest reads the names of the used fixtures from this pattern.
  // oxlint-disable-next-line no-empty-pattern
  aroundAll(async (runFile, {}, suite) => {
    // At this point the setup files and imports have run, and may have loaded an env file.
    const changed = changedVariables(env, process.env)
    await (changed.length > 0 ? held?.client.changed(held.lease.lease, owner, changed) : undefined)
    await runFile()
    await reportFailures(suite)
    await finishFile()
  }, HOOK_TIMEOUT_MS)
}
