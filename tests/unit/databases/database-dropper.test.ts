import { expect, test } from 'vitest'
import { DatabaseDropper } from '../../../src/databases/databases.ts'

/** A server of which some databases are in use, and a clock that the test moves. */
function createDropper() {
  const [inUse, dropped, asked] = [new Set<string>(), [] as string[], [] as string[]]
  const sleeping: (() => void)[] = []
  let failure: Error | undefined
  const dropper = new DatabaseDropper({
    admin: {
      async dropDatabase(name, { force }) {
        asked.push(name)
        if (failure) {
          throw failure
        }
        const isDropped = force || !inUse.has(name)
        dropped.push(...(isDropped ? [`${name}${force ? ' by force' : ''}`] : []))
        return isDropped
      },
    },
    clock: {
      now: () => 0,
      sleep: (_ms, signal) =>
        new Promise((resolve, reject) => {
          sleeping.push(resolve)
          signal?.addEventListener('abort', () => reject(signal.reason))
        }),
    },
  })
  const fail = (error: Error | undefined) => (failure = error)
  const wake = async () => {
    sleeping.splice(0).forEach((resume) => resume())
    await turn()
  }
  return { dropper, inUse, dropped, asked, sleeping, fail, wake }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

test('drop() drops databases one after the other', async () => {
  const { dropper, dropped } = createDropper()
  dropper.drop('a')
  dropper.drop('b')
  await turn()
  dropper.drop('c')
  await turn()
  expect(dropped).toEqual(['a', 'b', 'c'])
})

// The worker's own connections outlive it by some milliseconds, and there may be no further drop to go with.
test('drop() retries a database in use, and sends no other drops meanwhile', async () => {
  const { dropper, inUse, dropped, asked, sleeping, wake } = createDropper()
  inUse.add('a').add('b')
  dropper.drop('a')
  dropper.drop('b')
  dropper.drop('c')
  await turn()
  dropper.drop('d')
  await turn()
  expect(dropped).toEqual(['c', 'd'])
  expect(asked).toEqual(['a', 'b', 'c', 'd'])
  expect(sleeping).toHaveLength(1)
  inUse.delete('a')
  await wake()
  expect(dropped).toEqual(['c', 'd', 'a'])
  inUse.clear()
  await wake()
  expect(dropped).toEqual(['c', 'd', 'a', 'b'])
  expect(sleeping).toEqual([])
})

test('close() forces the remaining drops without a delay', async () => {
  const { dropper, inUse, dropped } = createDropper()
  inUse.add('a')
  dropper.drop('a')
  dropper.drop('b')
  await turn()
  await dropper.close()
  expect(dropped).toEqual(['b', 'a by force'])
})

test('drop() does not retry on an unreachable server', async () => {
  const { dropper, sleeping, asked, fail } = createDropper()
  fail(new Error('Connection terminated'))
  dropper.drop('a')
  await turn()
  expect([asked, sleeping]).toEqual([['a'], []])
  await expect(dropper.close()).rejects.toThrow('Connection terminated')
})
