import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  DROPPABLE,
  LABEL,
  nameDataFolder,
  nameRunApplication,
  nameSpare,
  nameTemplate,
  OF_RUN,
  OF_RUN_APPLICATION,
  OF_SHARED_TEMPLATE,
  OF_TEMPLATE,
  OUR_APPLICATIONS,
  ownerOfDataFolder,
  prefixOf,
} from '../../../src/internal/names.ts'

const hex = (digits: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${digits}}$`))
const number = fc.nat().map(String)
const isMatched = (name: string, pattern: string) => new RegExp(pattern).test(name)

test('a database of a run is recognised, with its run', () => {
  fc.assert(
    fc.property(hex(8), fc.stringMatching(/^\w+$/), (run, rest) => {
      const name = `${prefixOf(run)}${rest}`
      expect(new RegExp(OF_RUN).exec(name)?.[1]).toBe(run)
      expect(isMatched(name, DROPPABLE)).toBe(true)
      expect(isMatched(name, OF_SHARED_TEMPLATE)).toBe(false)
    }),
  )
})

test('a template is recognised as one of a run, or of all runs', () => {
  fc.assert(
    fc.property(hex(64), fc.option(hex(8), { nil: undefined }), (fingerprint, run) => {
      const name = nameTemplate(fingerprint, run)
      expect(isMatched(name, OF_TEMPLATE)).toBe(true)
      expect(isMatched(name, DROPPABLE)).toBe(true)
      expect(isMatched(name, OF_SHARED_TEMPLATE)).toBe(run === undefined)
      expect(isMatched(name, OF_RUN)).toBe(run !== undefined)
      expect(isMatched(nameSpare(name), OF_TEMPLATE)).toBe(false)
    }),
  )
})

test.each(['app', 'postgres', 'vitest_infra', 'vitest_infra_', 'vitest_infra_t_backup', 'my_vitest_infra_0badcafe_1'])(
  'the database "%s" is not droppable',
  (name) => {
    expect(isMatched(name, DROPPABLE)).toBe(false)
    expect(isMatched(name, OF_TEMPLATE)).toBe(false)
  },
)

test("a run's application_name is recognised, with what it announces", () => {
  fc.assert(
    fc.property(number, number, (ticket, connections) => {
      const name = nameRunApplication(ticket, Number(connections))
      expect(new RegExp(OF_RUN_APPLICATION).exec(name)?.slice(1)).toEqual([ticket, connections])
      expect(name.startsWith(OUR_APPLICATIONS.replace('%', ''))).toBe(true)
    }),
  )
})

test('a data folder is recognised, with its owner, in its own pid namespace only', () => {
  fc.assert(
    fc.property(number, number, fc.nat(), number, fc.string(), (space, other, pid, started, random) => {
      const name = `${nameDataFolder({ space, pid, started })}${random}`
      expect(ownerOfDataFolder(name, space)).toEqual({ space, pid, started })
      fc.pre(space !== other)
      expect(ownerOfDataFolder(name, other)).toBeUndefined()
    }),
  )
})

test('every label has its own key', () => {
  const keys = Object.values(LABEL)
  expect(new Set(keys).size).toBe(keys.length)
  expect(keys.every((key) => key.startsWith('vitest-infra.'))).toBe(true)
})
