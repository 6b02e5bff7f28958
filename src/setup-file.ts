// Runs in every worker, before the user's setup files and before a test file's imports.
import { relative } from 'node:path'
import { aroundAll, expect, inject } from 'vitest'
import type {} from './environment/infra-facts.ts'
import { readDeclaredTemplate } from './isolation/declared-template.ts'
import { finishFile, leaseForFile } from './isolation/file-lease.ts'
import type { LeaseAccess } from './isolation/lease-protocol.ts'

const access = inject('infra:lease') as LeaseAccess | undefined
if (access) {
  await beginFile(access)
} else {
  // A project without services; or `vitest list`, by which the file is imported, but will not run.
  Object.assign(process.env, inject('infra').env)
}

async function beginFile(lease: LeaseAccess): Promise<void> {
  const file = expect.getState().testPath ?? ''
  const owner = relative(process.cwd(), file)
  const { facts, env } = await leaseForFile(lease, owner, await readDeclaredTemplate(file))
  Object.assign(process.env, env)
  // What is injected names what this file was given, not what was there before the lease.
  Object.assign(inject('infra'), facts, { env })

  // The first to be registered is the outermost: behind the hooks and the file's fixtures, in which the user closes what
  // was opened, in whatever order `sequence.hooks` runs them.
  aroundAll(async (runFile) => {
    await runFile()
    await finishFile()
  })
}
