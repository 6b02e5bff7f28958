// Runs in every worker, before the user's setup files and before a test file's imports.
import { relative } from 'node:path'
import { aroundAll, beforeEach, expect, inject } from 'vitest'
import { changedVariables } from './environment/changed-variables.ts'
import type { InfraFacts } from './environment/infra-facts.ts'
import { setVariables } from './environment/set-variables.ts'
import { InfraError } from './errors.ts'
import { readDeclaredTemplate } from './worker/declared-template.ts'
import { currentLease, finishFile, leaseForFile } from './worker/file-lease.ts'
import { errorForAll } from './leasing/lease-client.ts'
import type { LeaseAccess } from './leasing/lease-protocol.ts'
import { tellFailures } from './worker/tell-failures.ts'

/** The main process answers within seconds; how long the user's own hooks may take says nothing about it. */
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
  // A project without services; or `vitest list`, by which the file is imported, but will not run.
  restore(before)
  Object.assign(process.env, unleased?.env)
} else {
  throw new InfraError('INFRA_LEASE_FAILED', {
    problem:
      'Cannot give this file its services: the global setup of vitest-infra did not run for its project, or failed',
    remedy: 'Start Vitest again; what kept the servers from starting was printed when they were to',
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
  // What is injected names what this file was given, not what was there before the lease.
  Object.assign(inject('infra'), facts, { env })

  // Not a connection error in each test that is left, but the cause of them all.
  const held = await currentLease()
  beforeEach(() => held?.client.assertNothingLost())

  // The first to be registered is the outermost: behind the hooks and the file's fixtures, in which the user closes what
  // was opened, in whatever order `sequence.hooks` runs them.
  // Vitest reads the names of the fixtures that are used from this pattern.
  // oxlint-disable-next-line no-empty-pattern
  aroundAll(async (runFile, {}, suite) => {
    // Its setup files and its imports have run, and perhaps loaded an env file.
    const changed = changedVariables(env, process.env)
    await (changed.length > 0 ? held?.client.changed(held.lease.lease, owner, changed) : undefined)
    await runFile()
    await tellFailures(suite)
    await finishFile()
  }, HOOK_TIMEOUT_MS)
}
