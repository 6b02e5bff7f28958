/** The part of `process` that this module uses. */
export type GuardedProcess = Pick<NodeJS.Process, 'exitCode' | 'on' | 'off'>

/**
 * Turns exit code 0 into 1 until the guard is released, both when Node has nothing left to do and on `process.exit()`.
 * It then calls `onEarlyEnd`, which must be synchronous.
 *
 * Without the guard, Node exits with 0 when it awaits a promise that nothing can settle. A run would then pass without
 * running a test.
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
    // Any other code already reports a failure or a signal.
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
