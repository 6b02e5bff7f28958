// Runs in every worker, before the user's setup files and before a test file's imports.
import { relative } from 'node:path'
import { afterAll, expect, inject } from 'vitest'
import type {} from './environment/infra-facts.ts'
import { readDeclaredTemplate } from './isolation/declared-template.ts'
import { finishFile, leaseForFile } from './isolation/file-lease.ts'

const file = expect.getState().testPath ?? ''
const owner = relative(process.cwd(), file)
const { facts, env } = await leaseForFile(inject('infra:lease'), owner, await readDeclaredTemplate(file))
Object.assign(process.env, env)
// What is injected names what this file was given, not what was there before the lease.
Object.assign(inject('infra'), facts, { env })

// The first to be registered runs last, behind the hooks in which the user closes what was opened.
afterAll(() => finishFile(owner))
