import { appendFileSync } from 'node:fs'

/** Reports to the benchmark that this point was reached, with a clock that all processes of the machine share. */
export function mark(name: string): void {
  appendFileSync(process.env.BENCH_MARKS ?? '/dev/null', `${name} ${Number(process.hrtime.bigint()) / 1e6}\n`)
}
