import { onTestFinished } from 'vitest'
import type { StackFacts } from '../../src/environment/infra-facts.ts'
import { systemClock } from '../../src/internal/clock.ts'
import type { InfraOptions } from '../../src/config/infra-options.ts'
import { resolveSpec } from '../../src/config/resolve-spec.ts'
import { startInfra } from '../../src/stack/start-infra.ts'

/** Starts a stack with other options than the suite's for one test; it is stopped after the test. */
export async function startOwnStack(options: InfraOptions, root: string = import.meta.dirname): Promise<StackFacts> {
  const spec = resolveSpec({ snapshot: false, ...options }, { root, source: 'the test', environment: { process: {} } })
  const starting = startInfra(spec, {
    environment: process.env,
    workers: 1,
    variables: () => ({}),
    report: () => {},
    clock: systemClock,
  })
  onTestFinished(() => starting.stop())
  return (await starting.up).facts
}
