import { expect, test } from 'vitest'
import { DatabasePool } from '../../../src/databases/databases.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'

/** A pool whose clones are made when the test requests it. */
function createPool({ target = 2 } = {}) {
  const made: string[] = []
  const making: PromiseWithResolvers<void>[] = []
  const pool = new DatabasePool({
    admin: {
      async createDatabase(name) {
        const done = Promise.withResolvers<void>()
        making.push(done)
        await done.promise
        made.push(name)
      },
    },
    template: 'template',
    prefix: 'clone_',
    target,
    pause: async () => {},
  })
  /** Finishes so many clones, one after the other. */
  const finish = async (count: number) => {
    for (let index = 0; index < count; index += 1) {
      await expect.poll(() => making.length, { interval: 1 }).toBeGreaterThan(0)
      making.shift()?.resolve()
    }
    await turn()
  }
  return { pool, made, making, finish }
}

function takeNames(pool: DatabasePool, count: number): Promise<readonly string[]> {
  return Promise.all(Array.from({ length: count }, () => pool.acquire()))
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

test('fill() makes exactly the requested number of clones', async () => {
  const { pool, made, making, finish } = createPool()
  const filled = pool.fill()
  await finish(2)
  await filled
  expect(made).toEqual(['clone_1', 'clone_2'])
  expect(making).toEqual([])
})

test('acquire() hands out each clone once and starts making the next in the background', async () => {
  const { pool, finish, making } = createPool()
  void pool.fill()
  await finish(2)
  expect(await takeNames(pool, 2)).toEqual(['clone_1', 'clone_2'])
  await finish(2)
  expect(await takeNames(pool, 2)).toEqual(['clone_3', 'clone_4'])
  expect(making.length).toBe(1)
})

test('acquire() waits its turn without a ready clone, and raises the target', async () => {
  const { pool, finish, made } = createPool({ target: 1 })
  const taken = takeNames(pool, 3)
  await finish(7)
  expect(await taken).toEqual(['clone_1', 'clone_2', 'clone_3'])
  expect(made).toHaveLength(7)
})

test('acquire() waits if called in the same tick in which the last clone is made', async () => {
  const { pool, finish } = createPool({ target: 1 })
  const first = pool.acquire()
  const late = first.then(() => takeNames(pool, 3))
  await finish(4)
  expect(await late).toEqual(['clone_2', 'clone_3', 'clone_4'])
})

test('a failed clone rejects the waiting request, and the next request tries again', async () => {
  const { pool, making, finish } = createPool({ target: 1 })
  const [one, two] = [pool.acquire(), pool.acquire()]
  making.shift()?.reject(new Error('disk full'))
  await expect(one).rejects.toThrow('disk full')
  await expect(two).rejects.toThrow('disk full')
  const next = pool.acquire()
  await finish(1)
  expect(await next).toBe('clone_2')
})

test('close() returns the unleased clones once pending ones are made', async () => {
  const { pool, finish } = createPool({ target: 1 })
  void pool.fill()
  await finish(1)
  const used = await pool.acquire(true)
  expect(pool.reuse(used)).toBe(true)
  const unused = pool.close()
  await finish(1)
  expect(await unused).toEqual(['clone_2', 'clone_1'])
})

test('close() prevents the reuse of a leased clone', async () => {
  const { pool, finish } = createPool({ target: 0 })
  const leased = pool.acquire(true)
  await finish(1)
  const closed = pool.close()
  await finish(1)
  await closed
  expect(pool.reuse(await leased)).toBe(false)
})

// They once waited for ever.
test('close() rejects waiting and later requests', async () => {
  const { pool, finish } = createPool({ target: 0 })
  const [first, second] = [pool.acquire(), pool.acquire()]
  const refused = catchInfraError(() => second)
  const closed = pool.close()
  await finish(1)
  await Promise.all([first, closed])
  expect(await refused).toMatchObject({
    code: 'INFRA_LEASE_FAILED',
    message: 'Cannot lease a database: its template is being rebuilt, or the run is ending\nRun the tests again',
  })
  expect(await catchInfraError(() => pool.acquire())).toMatchObject({ code: 'INFRA_LEASE_FAILED' })
})
