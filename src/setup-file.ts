// Runs in every worker, before the user's setup files and before a test file's imports.
import { expect, inject } from 'vitest'
import type {} from './environment/infra-facts.ts'
import { leaseForFile } from './isolation/file-lease.ts'

const { facts, env } = await leaseForFile(inject('infra:lease'), expect.getState().testPath ?? 'a test file')
Object.assign(process.env, env)
// What is injected names what this file was given, not what was there before the lease.
Object.assign(inject('infra'), facts, { env })
