import { expect, test } from 'vitest'
import { psqlCommand } from '../../../src/services/postgres.ts'

const PLACE = { host: 'localhost', port: 49_153, user: 'shop', database: 'vitest_infra_1_1' }

test('psqlCommand() runs in the container, or connects to the port without one', () => {
  expect(psqlCommand(PLACE, 'c1')).toBe('docker exec -it c1 psql --username shop vitest_infra_1_1')
  expect(psqlCommand(PLACE)).toBe('psql --host localhost --port 49153 --username shop vitest_infra_1_1')
})

test('psqlCommand() quotes special characters of the shell', () => {
  expect(psqlCommand({ ...PLACE, user: "o'brien; ls" }, 'c1')).toBe(
    String.raw`docker exec -it c1 psql --username 'o'\''brien; ls' vitest_infra_1_1`,
  )
})
