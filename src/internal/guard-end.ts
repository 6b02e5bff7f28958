/** The parts of `process` that are used here. */
export type GuardedProcess = Pick<NodeJS.Process, 'exitCode' | 'on' | 'off'>

/**
 * Prevents exit code 0 until it is released: when Node has nothing left to do, and on `process.exit()`. The code
 * becomes 1, and `onEarlyEnd` is called, in which nothing can be awaited.
 *
 * Node exits with 0 while it awaits a promise that nothing can settle: a run would pass without a test.
 *
 * @returns a function that releases the guard
 */
export function guardEnd(target: GuardedProcess, onEarlyEnd: () => void): () => void {
  const fail = () => {
    release()
    target.exitCode = 1
    onEarlyEnd()
  }
  const onExit = (code: number) => {
    // Any other code already reports a failure, such as a signal.
    if (code === 0) {
      fail()
    }
  }
  const release = () => {
    target.off('beforeExit', fail)
    target.off('exit', onExit)
  }
  target.on('beforeExit', fail)
  target.on('exit', onExit)
  return release
}
