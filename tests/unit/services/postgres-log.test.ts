import { expect, test } from 'vitest'
import { createLogParser, LOG_LINE_PREFIX } from '../../../src/services/postgres-log.ts'

const AT = Date.parse('2026-11-24T20:01:02.345Z')

test('createLogParser() reads time, database and text after our own prefix', () => {
  const log = `
2026-11-24 20:01:02.345 UTC [57] shop ERROR:  duplicate key value violates unique constraint "k"
2026-11-24 20:01:02.345 UTC [57] shop DETAIL:  Key (n)=(1) already exists.
2026-11-24 20:01:02.345 UTC [57] shop STATEMENT:  INSERT INTO a
\tVALUES (1);
\t-- ERROR:  not one
2026-11-24 20:01:02.346 UTC [1] LOG:  checkpoint starting: time
`
  expect(createLogParser(LOG_LINE_PREFIX)(log)).toEqual([
    {
      database: 'shop',
      atMs: AT,
      lines: ['ERROR:  duplicate key value violates unique constraint "k"'],
    },
    { database: 'shop', atMs: AT, lines: ['DETAIL:  Key (n)=(1) already exists.'] },
    { database: 'shop', atMs: AT, lines: ['STATEMENT:  INSERT INTO a', '\tVALUES (1);', '\t-- ERROR:  not one'] },
    {
      database: undefined,
      atMs: undefined,
      lines: ['2026-11-24 20:01:02.346 UTC [1] LOG:  checkpoint starting: time'],
    },
  ])
})

test.for<readonly [string, string, { database: string | undefined; text: string }]>([
  ['db=%d,user=%u ', 'db=shop,user=me ERROR:  no', { database: 'shop', text: 'ERROR:  no' }],
  ['%a|%10d|', 'api|      shop|LOG:  a: b', { database: 'shop', text: 'LOG:  a: b' }],
  ['%-8d: ', 'shop    : FEHLER:  nein', { database: 'shop', text: 'FEHLER:  nein' }],
  ['[%d] (%d) 100%% ', '[my shop] (my shop) 100% ERROR:  no', { database: 'my shop', text: 'ERROR:  no' }],
  ['%t [%p] ', '2026-11-24 20:01:02 UTC [57] ERROR:  no', { database: undefined, text: 'ERROR:  no' }],
  ['%d ', 'no line of the server', { database: undefined, text: 'no line of the server' }],
])("createLogParser() reads the user's prefix %j", ([prefix, line, { database, text }]) => {
  expect(createLogParser(prefix)(line)).toEqual([{ database, atMs: undefined, lines: [text] }])
})

test("createLogParser() reads only UTC times, whatever the zone's name", () => {
  const times = ['UTC', 'GMT', 'CET'].map(
    (zone) => createLogParser('%m ')(`2026-11-24 20:01:02.345 ${zone} ERROR:  no`)[0]?.atMs,
  )
  expect(times).toEqual([AT, AT, undefined])
})
