import { expect, test } from 'vitest'
import type { InfraEvent } from '../../../src/report/events.ts'
import { renderEvent } from '../../../src/report/reporter.ts'
import { RunReport } from '../../../src/report/run-report.ts'

const SELECTED: InfraEvent = { type: 'provider-selected', description: 'Docker' }
const LEFT: InfraEvent = { type: 'connections-left', owner: 'a.test.ts', sessions: ['api'] }
const LOG: InfraEvent = { type: 'test-log', owner: 'a.test.ts > adds', lines: ['ERROR:  no'], more: 0 }
const STARTED: readonly InfraEvent[] = [
  {
    type: 'service-healthy',
    service: 'redis',
    version: '8.0.6',
    host: 'localhost',
    port: 1,
    elapsedMs: 420,
    origin: 'new',
  },
  {
    type: 'service-healthy',
    service: 'postgres',
    version: '18.6',
    host: 'localhost',
    port: 2,
    elapsedMs: 1_310,
    origin: 'new',
  },
  { type: 'seeds-loaded', service: 'redis', files: 1, elapsedMs: 20 },
  { type: 'template-ready', template: 'default', isNew: true, elapsedMs: 110 },
  { type: 'template-ready', template: 'shop', isNew: false, elapsedMs: 10 },
]
const LEASES: InfraEvent = { type: 'leases-summary', count: 40, medianMs: 0.4, p95Ms: 1.9 }

function createRunReport({ isShort = false } = {}) {
  const lines: string[] = []
  const run = new RunReport({ report: (event) => lines.push(renderEvent(event)), isShort })
  const told = () => lines.splice(0)
  return { run, told }
}

test('RunReport reports at once only events that users wait for', () => {
  const { run, told } = createRunReport()
  run.report(SELECTED)
  run.report({ type: 'pull-finished', image: 'redis:8-alpine', elapsedMs: 1_000 })
  run.report({ type: 'stop-failed', message: 'Cannot stop' })
  expect(told()).toEqual(['Docker', 'pulled redis:8-alpine in 1.00 s', 'Cannot stop'])
  ;[...STARTED, LEASES, LEFT, LOG].forEach(run.report)
  expect(told()).toEqual([])
})

test('RunReport summarizes a run in a few lines and names leaks', () => {
  const { run, told } = createRunReport()
  ;[...STARTED, LEFT, LEASES].forEach(run.report)
  run.close()
  expect(told()).toEqual([
    'postgres 18.6 healthy after 1.31 s, redis 8.0.6 healthy after 0.42 s',
    'template "default" built in 0.11 s, template "shop" found in 0.01 s, redis seeded from 1 file in 0.02 s',
    '40 leases, waited 0.4 ms (median), 1.9 ms (95th percentile)',
    'a.test.ts left 1 connection open: "api" (1)',
  ])
})

test('RunReport summarizes a run in one line on request and still names leaks', () => {
  const { run, told } = createRunReport({ isShort: true })
  ;[...STARTED, LEFT, LEASES].forEach(run.report)
  run.close()
  expect(told()).toEqual([
    'postgres 18.6 after 1.31 s, redis 8.0.6 after 0.42 s, 2 templates, 40 leases',
    'a.test.ts left 1 connection open: "api" (1)',
  ])
})

test('RunReport prints nothing if nothing was started', () => {
  for (const isShort of [true, false]) {
    const { run, told } = createRunReport({ isShort })
    run.close()
    expect(told()).toEqual([])
  }
})

test('RunReport lists only some of many templates', () => {
  const { run, told } = createRunReport()
  for (let index = 1; index <= 9; index += 1) {
    run.report({ type: 'template-ready', template: `t${index}`, isNew: false, elapsedMs: 10 })
  }
  run.close()
  expect(told()[0]).toMatch(/^template "t1" found in 0.01 s, .*template "t6" found in 0.01 s and 3 more$/)
})

test('RunReport reports each event once', () => {
  const { run, told } = createRunReport()
  ;[LEFT, LOG].forEach(run.report)
  run.reportLogs()
  expect(told()).toEqual(["PostgreSQL's log for a.test.ts > adds:\n       ERROR:  no"])
  run.reportNotices()
  expect(told()).toEqual(['a.test.ts left 1 connection open: "api" (1)'])
  run.close()
  expect(told()).toEqual([])
})

test('RunReport.close() reports the pending events of an interrupted run', () => {
  const { run, told } = createRunReport()
  ;[LEFT, LOG].forEach(run.report)
  run.close()
  expect(told()).toHaveLength(2)
})
