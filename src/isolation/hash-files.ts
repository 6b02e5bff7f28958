import { createHash } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'

/** A digest of the names and contents of files and of all that is in folders; what does not exist counts as such. */
export async function hashFiles(paths: readonly string[], root: string): Promise<string> {
  const hash = createHash('sha256')
  for (const path of paths) {
    for (const file of await listAll(resolve(root, path))) {
      hash.update(`${relative(root, file)}\n`)
      hash.update(await readFile(file).catch(() => 'missing'))
    }
  }
  return hash.digest('hex')
}

async function listAll(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isDirectory()) {
    return [path]
  }
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return files.toSorted()
}
