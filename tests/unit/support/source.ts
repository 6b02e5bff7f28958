import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAst } from 'vitest/node'

/** A part of a file's syntax tree, as ESTree and typescript-eslint name it. */
export interface SyntaxNode {
  readonly type: string
  /** Where it begins in the text. */
  readonly start: number
  readonly [key: string]: unknown
}

export interface SourceFile {
  /** From `src/`, with `/` on every platform. */
  readonly path: string
  readonly text: string
  /** Every part of its syntax tree, in the order of the text. */
  readonly nodes: readonly SyntaxNode[]
}

const SOURCE_FOLDER = fileURLToPath(new URL('../../../src', import.meta.url))

/** All files of `src/`, parsed. */
export function readSources(): SourceFile[] {
  return readdirSync(SOURCE_FOLDER, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .toSorted()
    .map((path) => {
      const text = readFileSync(join(SOURCE_FOLDER, path), 'utf8')
      return { path: path.split(sep).join('/'), text, nodes: [...walk(parseAst(text, { lang: 'ts' }))] }
    })
}

/** The readable place of a node: `errors.ts:12`. */
export function placeOf({ path, text }: SourceFile, { start }: SyntaxNode): string {
  return `${path}:${text.slice(0, start).split('\n').length}`
}

export function isNode(value: unknown, type?: string): value is SyntaxNode {
  return (
    typeof value === 'object' &&
    value !== null &&
    'type' in value &&
    typeof value.type === 'string' &&
    (type === undefined || value.type === type)
  )
}

/** The child nodes under a key, such as the properties of an object. */
export function partsOf(node: SyntaxNode, name: string): SyntaxNode[] {
  const parts = node[name]
  return (Array.isArray(parts) ? parts : [parts]).filter((part) => isNode(part))
}

function* walk(value: unknown): Generator<SyntaxNode> {
  if (isNode(value)) {
    yield value
  }
  if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) {
      yield* walk(part)
    }
  }
}
