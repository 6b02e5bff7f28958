import { expect, test } from 'vitest'
import { FailureLog } from '../../../src/databases/failure-log.ts'
import type { FailedTest } from '../../../src/leasing/lease-source.ts'
import { createLogParser, LOG_LINE_PREFIX } from '../../../src/services/postgres-log.ts'
import { FakeClock } from '../support/fake-clock.ts'

const NOON = Date.parse('2026-11-24T12:00:00Z')

interface Setup {
  readonly log: readonly string[]
  /** How often it is read before the mark is in it. */
  readonly lateness?: number
  /** How far the server's clock is ahead. */
  readonly aheadMs?: number
}

function line(atMs: number, database: string, text: string): string {
  return `${new Date(NOON + atMs).toISOString().replace('T', ' ').replace('Z', ' UTC')} [7] ${database} ${text}`
}

function createLog({ log, lateness = 0, aheadMs = 0 }: Setup) {
  const marks: string[] = []
  const reads: [count: number, sinceMs: number][] = []
  const failureLog = new FailureLog({
    admin: {
      async writeLogMark(mark) {
        marks.push(mark)
        return Date.now() + aheadMs
      },
    },
    async read(...asked) {
      reads.push(asked)
      return [...log, ...(reads.length > lateness ? marks : [])].join('\n')
    },
    parse: createLogParser(LOG_LINE_PREFIX),
    redact: (text) => text.replaceAll('secret', '***'),
    clock: new FakeClock(),
  })
  const of = async (...tests: readonly FailedTest[]) =>
    (await failureLog.of('db', tests)).map(({ lines, more }) => [...lines, ...(more > 0 ? [more] : [])])
  return { of, reads, marks }
}

function failed(fromMs: number, toMs: number, ...databases: readonly string[]): FailedTest {
  return { name: 'adds', fromMs: NOON + fromMs, toMs: NOON + toMs, databases }
}

test("FailureLog.of() returns a test's lines of its run, and later ones of databases it had alone", async () => {
  const { of, reads } = createLog({
    log: [
      line(0, 'db', 'ERROR:  before'),
      line(10, 'db', 'ERROR:  first\n\tgoes on'),
      line(11, 'other', 'ERROR:  of somebody else'),
      line(20, 'db', 'ERROR:  second, secret'),
      line(3, 'own', 'ERROR:  of the test before'),
      line(99, 'own', 'ERROR:  late'),
    ],
  })
  expect(await of(failed(5, 15), failed(18, 25, 'own'))).toEqual([
    ['ERROR:  first', '\tgoes on'],
    ['ERROR:  second, ***', 'ERROR:  late'],
  ])
  expect(reads).toEqual([[5_000, NOON + 5]])
})

test('FailureLog.of() waits until earlier lines are in the log', async () => {
  const { of, reads, marks } = createLog({ log: [line(1, 'db', 'ERROR:  no')], lateness: 3 })
  expect(await of(failed(0, 5))).toEqual([['ERROR:  no']])
  expect([reads.length, marks.length]).toEqual([4, 1])
})

test('FailureLog.of() gives up for good on a log that is written elsewhere', async () => {
  const { of, reads } = createLog({ log: [], lateness: Infinity })
  expect(await of(failed(0, 5))).toEqual([[]])
  const before = reads.length
  expect(await of(failed(0, 5))).toEqual([[]])
  expect(reads.length).toBe(before)
})

test('FailureLog.of() allows for a different clock on the server', async () => {
  const aheadMs = 3_600_000
  const { of, reads } = createLog({
    log: [line(10, 'db', 'ERROR:  of another hour'), line(aheadMs + 10, 'db', 'ERROR:  no')],
    aheadMs,
  })
  expect(await of(failed(0, 20))).toEqual([['ERROR:  no']])
  expect(reads[0]?.[1]).toBeGreaterThan(NOON + aheadMs - 1_000)
})

test('FailureLog.of() limits the number and length of lines', async () => {
  const { of } = createLog({
    log: Array.from({ length: 130 }, (_, index) => line(1, 'db', `LOG:  ${index} ${'x'.repeat(2_000)}`)),
  })
  const [lines = []] = await of(failed(0, 5))
  expect(lines).toHaveLength(101)
  expect(lines.at(-1)).toBe(30)
  expect(String(lines[0])).toMatch(/^LOG: {2}0 x+ …$/)
  expect(String(lines[0])).toHaveLength(1_002)
})
