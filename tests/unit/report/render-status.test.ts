import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { renderStatus, type ServiceStatus } from '../../../src/report/render-status.ts'

const AT = '2026-11-25T04:00:00.000Z'
const nowMs = Date.parse(AT) + 3 * 60_000
const check = (passed: boolean, output: string) => ({ at: AT, passed, output })

const statuses: readonly ServiceStatus[] = [
  {
    service: 'postgres',
    state: 'degraded',
    image: 'postgres:18-alpine',
    address: 'localhost:32768',
    provider: 'docker',
    since: AT,
    healthchecks: [check(true, 'accepting'), check(false, 'no response\nmore'), check(true, '')],
  },
  { service: 'redis', state: 'stopped', image: 'redis:8-alpine', provider: 'docker', healthchecks: [] },
]

function streamOf(properties: object): NodeJS.WriteStream {
  return Object.assign(new PassThrough(), properties) as unknown as NodeJS.WriteStream
}

test('the table shows each service and its last failed check', () => {
  expect(renderStatus(statuses, { nowMs, stream: streamOf({ isTTY: false }) })).toMatchInlineSnapshot(`
    "SERVICE   STATE     IMAGE               ADDRESS          PROVIDER  SINCE      HEALTHCHECKS
    postgres  degraded  postgres:18-alpine  localhost:32768  docker    3 min ago  ✓✗✓
    redis     stopped   redis:8-alpine      -                docker    -          -
    postgres: failed at 2026-11-25T04:00:00.000Z: no response
    "
  `)
})
