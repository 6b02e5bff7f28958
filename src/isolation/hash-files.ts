import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'

/**
 * A digest of the names and contents of files and of all that is in folders; what does not exist counts as such. Read at
 * once and not asynchronously: for a thousand small files that is ten times as fast, and nothing else could go on yet.
 */
export function hashFiles(paths: readonly string[], root: string): string {
  const hash = createHash('sha256')
  for (const path of paths) {
    for (const file of listAll(resolve(root, path))) {
      hash.update(`${relative(root, file)}\n`)
      hash.update(readIfThere(file))
    }
  }
  return hash.digest('hex')
}

function listAll(path: string): string[] {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    return [path]
  }
  const entries = readdirSync(path, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return files.toSorted()
}

function readIfThere(file: string): Buffer | string {
  try {
    return readFileSync(file)
  } catch {
    return 'missing'
  }
}
