import { access } from 'node:fs/promises'

/** Resolves to whether a file or folder exists. */
export function pathExists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
