import { EventEmitter } from 'node:events'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { cleanUpBeforeExit, type EndingProcess } from '../../../src/internal/clean-up-before-exit.ts'

/** As much of a process as signals need, Vitest's own handler included. */
class FakeProcess extends EventEmitter {
  readonly exits: (string | number | null | undefined)[] = []
  exitCode: string | number | null | undefined = undefined
  exit = ((code) => {
    this.exits.push(code)
  }) as NodeJS.Process['exit']
  readonly version = 'v1'
  printed = ''
  readonly stderr = {
    write: (text: string, done: () => void) => {
      this.printed += text
      done()
    },
  }
}

function ignore(): void {}

function createCleanup() {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let calls = 0
  const cleanup = () => {
    calls += 1
    return promise
  }
  return { cleanup, finish: resolve, fail: reject, calls: () => calls }
}

function watch(cleanup: () => Promise<unknown>): { target: FakeProcess; release: () => void } {
  const target = new FakeProcess()
  return { target, release: cleanUpBeforeExit(target as object as EndingProcess, cleanup) }
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test.for([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('cleanUpBeforeExit() exits on %s with %d once cleanup is done', async ([signal, code]) => {
  const { cleanup, finish, calls } = createCleanup()
  const { target } = watch(cleanup)
  target.emit(signal)
  expect(calls()).toBe(1)
  expect(target.exitCode).toBe(code)
  await vi.advanceTimersByTimeAsync(9_000)
  expect(target.exits).toEqual([])
  finish()
  await vi.advanceTimersByTimeAsync(0)
  expect(target.exits).toEqual([code])
})

// Vitest answers a signal with process.exit() a millisecond later.
test('cleanUpBeforeExit() delays other exit handlers', async () => {
  const { cleanup, finish } = createCleanup()
  const { target } = watch(cleanup)
  target.on('SIGINT', () => setTimeout(() => target.exit(), 1))
  target.emit('SIGINT')
  await vi.advanceTimersByTimeAsync(100)
  expect(target.exits).toEqual([])
  finish()
  await vi.advanceTimersByTimeAsync(0)
  expect(target.exits).toEqual([130])
})

test('cleanUpBeforeExit() runs before existing handlers', () => {
  const order: string[] = []
  const target = new FakeProcess()
  target.on('SIGTERM', () => order.push('theirs'))
  cleanUpBeforeExit(target as object as EndingProcess, async () => order.push('ours'))
  target.emit('SIGTERM')
  expect(order).toEqual(['ours', 'theirs'])
})

test('cleanUpBeforeExit() exits even if cleanup fails', async () => {
  const { cleanup, fail } = createCleanup()
  const { target } = watch(cleanup)
  target.emit('SIGINT')
  fail(new Error('the engine is gone'))
  await vi.advanceTimersByTimeAsync(0)
  expect(target.exits).toEqual([130])
})

test('cleanUpBeforeExit() ignores the second signal', async () => {
  const { cleanup, finish, calls } = createCleanup()
  const { target } = watch(cleanup)
  target.emit('SIGINT')
  target.emit('SIGTERM')
  await vi.advanceTimersByTimeAsync(9_000)
  expect(target.exits).toEqual([])
  expect(calls()).toBe(1)
  finish()
  await vi.advanceTimersByTimeAsync(0)
  expect(target.exits).toEqual([130])
})

test('cleanUpBeforeExit() exits at once on the third signal', () => {
  const { cleanup, calls } = createCleanup()
  const { target } = watch(cleanup)
  target.emit('SIGINT')
  target.emit('SIGINT')
  expect(target.exits).toEqual([])
  target.emit('SIGINT')
  expect(target.exits).toEqual([130])
  expect(calls()).toBe(1)
})

test('cleanUpBeforeExit() waits at most 10 s for cleanup', async () => {
  const { cleanup } = createCleanup()
  const { target } = watch(cleanup)
  target.emit('SIGTERM')
  await vi.advanceTimersByTimeAsync(9_999)
  expect(target.exits).toEqual([])
  await vi.advanceTimersByTimeAsync(1)
  expect(target.exits).toEqual([143])
})

test('cleanUpBeforeExit() does nothing until the process is about to exit', async () => {
  const { cleanup, calls } = createCleanup()
  const { target } = watch(cleanup)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(target.exits).toEqual([])
  expect(target.exitCode).toBeUndefined()
  expect(calls()).toBe(0)
})

test('cleanUpBeforeExit() delays an exit by other code and keeps its exit code', async () => {
  const { cleanup, finish, calls } = createCleanup()
  const { target } = watch(cleanup)
  target.exit(3)
  target.exit(4)
  expect(target.exits).toEqual([])
  finish()
  await vi.advanceTimersByTimeAsync(0)
  expect(target.exits).toEqual([3])
  expect(calls()).toBe(1)
})

test('cleanUpBeforeExit() exits with the code that a failed cleanup sets if there is none', async () => {
  const { cleanup, finish } = createCleanup()
  const { target } = watch(cleanup)
  target.exit(0)
  target.exitCode = 1
  finish()
  await vi.advanceTimersByTimeAsync(0)
  expect(target.exits).toEqual([1])
})

test('cleanUpBeforeExit() prints an uncaught exception as is and exits with 1 after cleanup', async () => {
  const { cleanup, finish } = createCleanup()
  const { target } = watch(cleanup)
  const error = new Error('lost')
  target.emit('uncaughtException', error)
  expect(target.printed).toBe(`\n${error.stack}\n\nNode.js v1\n`)
  await vi.advanceTimersByTimeAsync(100)
  expect(target.exits).toEqual([])
  finish()
  await vi.advanceTimersByTimeAsync(0)
  expect(target.exits).toEqual([1])
})

test('cleanUpBeforeExit() prints a thrown value that is no error', () => {
  const { target } = watch(createCleanup().cleanup)
  target.emit('uncaughtException', 'lost')
  expect(target.printed).toBe("\nUncaught 'lost'\n\nNode.js v1\n")
})

// Two runs in one process, as with two Vitests of the API: each used to take the other for a listener of the user.
test('cleanUpBeforeExit() called twice prints an exception once and exits', async () => {
  const [first, second] = [createCleanup(), createCleanup()]
  const { target } = watch(first.cleanup)
  cleanUpBeforeExit(target as object as EndingProcess, second.cleanup)
  target.emit('uncaughtException', 'lost')
  expect([first.calls(), second.calls()]).toEqual([1, 1])
  expect(target.printed.match(/Uncaught/g)).toHaveLength(1)
  first.finish()
  second.finish()
  await vi.advanceTimersByTimeAsync(0)
  expect(target.exits).toContain(1)
})

test('cleanUpBeforeExit() leaves an exception to another listener', () => {
  const { cleanup, calls } = createCleanup()
  const { target } = watch(cleanup)
  target.on('uncaughtException', ignore)
  target.emit('uncaughtException', new Error('caught'))
  expect(calls()).toBe(0)
})

test('cleanUpBeforeExit() returns a function that removes only its own handlers', () => {
  const { cleanup, calls } = createCleanup()
  const { target, release } = watch(cleanup)
  target.on('SIGINT', ignore)
  expect(target.listenerCount('SIGINT')).toBe(2)
  release()
  expect(target.listeners('SIGINT')).toEqual([ignore])
  expect(['SIGTERM', 'SIGHUP'].map((signal) => target.listenerCount(signal))).toEqual([0, 0])
  target.emit('SIGINT')
  expect(calls()).toBe(0)
  expect(target.exits).toEqual([])
})
