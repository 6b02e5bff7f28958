// A process that starts a stack of local processes as a run does, prints its facts as one line of JSON, and waits to be
// stopped. Arguments: the options.
import { systemClock } from '../../src/internal/clock.ts'
import type { InfraOptions } from '../../src/config/infra-options.ts'
import { resolveSpec } from '../../src/config/resolve-spec.ts'
import { startInfra } from '../../src/stack/start-infra.ts'

const options = JSON.parse(process.argv[2] ?? '{}') as InfraOptions
const spec = resolveSpec(
  { provider: 'embedded', ...options },
  { root: process.cwd(), source: 'the test', environment: { process: process.env } },
)
const infra = startInfra(spec, {
  environment: process.env,
  workers: 1,
  variables: () => ({}),
  report: (event) => event.type === 'service-healthy' && process.stderr.write(`${event.service} is healthy\n`),
  clock: systemClock,
})
const timer = setInterval(() => {}, 60_000)
process.once('SIGTERM', () => {
  clearInterval(timer)
  void infra.stop()
})
try {
  const { facts } = await infra.up
  process.stdout.write(`${JSON.stringify(facts)}\n`)
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  clearInterval(timer)
}
