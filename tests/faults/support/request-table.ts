import type { ArmedFault, Fault, RequestName } from '../../e2e/support/engine-faults.ts'
import type { EndedRun } from '../../e2e/support/run-vitest.ts'
import { createRandom } from './random.ts'

/** `npm run faults` sets both, and tries every request; in `npm test` a few of each scenario show that it works. */
const SEED = Number(process.env['FAULTS_SEED'] ?? 1)
const REQUESTS = Number(process.env['FAULTS_REQUESTS'] ?? 2)
/** Tries those alone whose name it is a part of, such as `delay end 1`. */
const ONLY = process.env['FAULTS_ONLY'] ?? ''

const FAULTS: readonly Fault[] = ['refuse', 'cut', 'delay']
/** Some are sent over and over, until their answer is the one that is hoped for. */
const COUNTED = 2
/** A run that waits takes no time of this machine; one that does not takes all of a core. */
const AT_ONCE = 4

/** Tries each fault on each request, or on as many as were asked for; returns what is wrong with runs that end wrongly. */
export async function tryRequests(
  requests: readonly RequestName[],
  runWith: (fault: ArmedFault) => Promise<EndedRun>,
): Promise<string> {
  const random = createRandom(SEED)
  const cases = requests
    .filter(({ count }) => count <= COUNTED)
    .flatMap((request) => FAULTS.map((fault) => ({ ...request, fault, rank: random() })))
    .toSorted((left, right) => left.rank - right.rank)
    .filter((fault) => nameOf(fault).includes(ONLY))
    .slice(0, REQUESTS)
  const wrong: string[] = []
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let next = cases.shift(); next; next = cases.shift()) {
        const run = await runWith(next)
        const mistake = mistakeOf(run)
        if (mistake !== undefined) {
          wrong.push(`${nameOf(next)}: ${mistake}\n${run.stdout}\n${run.stderr}`)
        }
      }
    }),
  )
  return wrong.join('\n\n')
}

function nameOf({ fault, name, count }: ArmedFault): string {
  return `${fault} ${name} ${count}`
}

/** What is wrong with how a run ended; undefined if nothing is. */
export function mistakeOf({ exitCode, stdout, stderr }: EndedRun): string | undefined {
  const output = stdout + stderr
  const hasRun = /^ +Tests +.*\b(?:passed|failed)\b/m.test(stdout)
  if (output.includes('close timed out')) {
    return 'Vitest had to end it'
  }
  if (/TypeError|AggregateError/.test(output)) {
    return 'an error that says nothing'
  }
  if (exitCode === 0) {
    return hasRun && /healthy after/.test(stderr) ? undefined : 'green without its tests, or without its last lines'
  }
  if (exitCode !== 1) {
    return `exit code ${exitCode}`
  }
  return hasRun || /InfraError: Cannot /.test(stderr) ? undefined : 'red without saying why'
}
