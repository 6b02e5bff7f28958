import { appendFileSync } from 'node:fs'

/** Tells the benchmark that this point was reached, on the clock that all processes of a machine share. */
export function mark(name: string): void {
  appendFileSync(process.env.BENCH_MARKS ?? '/dev/null', `${name} ${Number(process.hrtime.bigint()) / 1e6}\n`)
}
