import { subscribe } from 'node:diagnostics_channel'

/** What is asked of a child process. */
interface Child {
  readonly pid?: number
  once(event: 'exit', listener: () => void): unknown
}

const KEY = Symbol.for('vitest-infra/child-processes')
type Holder = { [KEY]?: Set<Child> }

/** Notes which processes this one starts; kept on `process`, the one object that vm pools do not renew with each file. */
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

/** The numbers of those that have not ended. */
export function runningChildren(): number[] {
  return [...((process as Holder)[KEY] ?? [])].flatMap(({ pid }) => pid ?? [])
}
