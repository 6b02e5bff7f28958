/** The part of `process` that is needed here. */
export type GuardedProcess = Pick<NodeJS.Process, 'exitCode' | 'on' | 'off'>

/**
 * Until it is released, the process does not end with 0: not when Node has nothing left to do, and not by
 * `process.exit()`. `onEarlyEnd` is called then, when nothing can be awaited any more.
 *
 * Node exits with 0 while a promise is awaited that nothing can settle: a run would be green without a test.
 *
 * @returns a function that releases it
 */
export function guardEnd(target: GuardedProcess, onEarlyEnd: () => void): () => void {
  const fail = () => {
    release()
    target.exitCode = 1
    onEarlyEnd()
  }
  const onExit = (code: number) => {
    // Any other code says already that something went wrong, such as a signal.
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
