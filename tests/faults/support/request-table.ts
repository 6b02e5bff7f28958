import type { ArmedFault, Fault, RequestName } from '../../e2e/support/engine-faults.ts'
import type { EndedRun } from '../../e2e/support/run-vitest.ts'
import { createRandom } from './random.ts'

/** `npm run faults` sets both, and tries every request; in `npm test` a few of each scenario show that it works. */
const SEED = Number(process.env['FAULTS_SEED'] ?? 1)
const REQUESTS = Number(process.env['FAULTS_REQUESTS'] ?? 2)
/** Runs only the cases whose name contains this text, such as `delay end 1`. */
const ONLY = process.env['FAULTS_ONLY'] ?? ''

const FAULTS: readonly Fault[] = ['refuse', 'cut', 'delay']
/** Some are sent over and over, until their answer is the one that is hoped for. */
const COUNTED = 2
/** A waiting run uses no CPU; a looping one uses a full core. */
const AT_ONCE = 4

/**
 * Injects each fault into each request, or into the requested number of them; returns the problems of runs that end
 * wrongly.
 */
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

/** The problem with the end of a run; undefined if there is none. */
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
