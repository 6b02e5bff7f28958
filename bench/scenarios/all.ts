import type { Scenario } from '../support/contender.ts'
import { growth } from './growth.ts'
import { isolation } from './isolation.ts'
import { memory } from './memory.ts'
import { start } from './start.ts'

/** In the order in which they run. */
export const SCENARIOS: readonly Scenario[] = [start, isolation, growth, memory]
