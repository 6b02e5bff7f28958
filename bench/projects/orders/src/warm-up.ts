import { setTimeout as sleep } from 'node:timers/promises'

/** The pool is warm when the tests begin, as it is in all but the first instants of a suite. */
export default async function setup(): Promise<void> {
  await sleep(500)
}
