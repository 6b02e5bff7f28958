import { expect, test } from 'vitest'
import { redact } from '../../../src/internal/redact.ts'

test.for<readonly [string, string]>([
  ['postgres://shop:secret@localhost/app', 'postgres://shop:***@localhost/app'],
  ["ALTER ROLE a PASSWORD 'it''s'; SELECT 'b'", "ALTER ROLE a PASSWORD '***'; SELECT 'b'"],
  [String.raw`ALTER ROLE a PASSWORD  E'\\it\'s'; SELECT 'b'`, "ALTER ROLE a PASSWORD  E'***'; SELECT 'b'"],
  ['with the long password in it', 'with *** in it'],
  ["WHERE password = 'x' AND p = $1", "WHERE password = 'x' AND p = $1"],
])('redact() turns %j into %j', ([text, redacted]) => {
  expect(redact(text, { user: 'shop', password: 'the long password' })).toBe(redacted)
})
