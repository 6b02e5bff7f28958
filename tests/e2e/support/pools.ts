import { inject } from 'vitest'
import type { Runner } from '../consumers.ts'

/** Each Vitest in each pool that this project of the suite tries. */
export const RUNNERS: readonly Runner[] = inject('runners')

/** Those of the newest Vitest. */
export const NEWEST_RUNNERS = RUNNERS.filter(({ consumer }) => consumer.vitestMajor === 5)

/** The same, and workers that keep modules. */
export const RUNNERS_AND_KEPT_MODULES: readonly Pick<Runner, 'name' | 'consumer' | 'option'>[] = [
  ...RUNNERS,
  ...inject('consumers').map((consumer) => ({
    name: `${consumer.name} without isolation`,
    consumer,
    option: '--no-isolate',
  })),
]
