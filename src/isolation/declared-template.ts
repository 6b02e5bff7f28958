import { readFile } from 'node:fs/promises'

const DECLARATION = /^\s*(?:await\s+|void\s+)?useTemplate\(\s*(?:'([^']+)'|"([^"]+)"|`([^`$]+)`)/m

/** The template that a test file names with `useTemplate('…')`, read from its source since it has not run yet. */
export async function readDeclaredTemplate(file: string): Promise<string | undefined> {
  const source = await readFile(file, 'utf8').catch(() => '')
  const match = DECLARATION.exec(source)
  return match?.[1] ?? match?.[2] ?? match?.[3]
}
