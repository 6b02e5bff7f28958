import { subscribe } from 'node:diagnostics_channel'

interface Child {
  readonly pid?: number
  once(event: 'exit', listener: () => void): unknown
}

const KEY = Symbol.for('vitest-infra/child-processes')
type Holder = { [KEY]?: Set<Child> }

/**
 * Records the child processes of this process from now on. The record is on `process`, the only object that vm pools
 * keep between files.
 */
export function watchChildren(): void {
  const holder = process as Holder
  if (holder[KEY]) {
    return
  }
  const children = (holder[KEY] = new Set<Child>())
  subscribe('child_process', (message) => {
    const { process: child } = message as { process: Child }
    children.add(child)
    child.once('exit', () => children.delete(child))
  })
}

/** Returns the ids of the child processes that are still running. */
export function runningChildren(): number[] {
  return [...((process as Holder)[KEY] ?? [])].flatMap(({ pid }) => pid ?? [])
}
