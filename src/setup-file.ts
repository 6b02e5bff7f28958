// Runs in every worker, before the user's setup files and before a test file's imports.
import { inject } from 'vitest'
import type {} from './environment/infra-facts.ts'

Object.assign(process.env, inject('infra').env)
