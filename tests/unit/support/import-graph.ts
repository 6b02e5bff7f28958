import { posix } from 'node:path'
import { isNode, type SourceFile, type SyntaxNode } from './source.ts'

/**
 * When an import happens: with the module (`static`), when its line is reached (`dynamic`), or never, since only types
 * are taken (`type`).
 */
export type ImportKind = 'static' | 'dynamic' | 'type'

export interface Import {
  /** The importing file, from `src/`. */
  readonly from: string
  /** The imported file, from `src/`, or else the package or built-in module, as it is written. */
  readonly to: string
  readonly kind: ImportKind
}

/** The target of an import that is only known while the code runs. */
export const COMPUTED = '(computed)'

/** Whether the target of an import is a file of ours; `vitest/registry.ts` is, `vitest/node` is not. */
export function isOurs(target: string): boolean {
  return target.endsWith('.ts')
}

/** All imports and re-exports of the files. */
export function readImports(files: readonly SourceFile[]): Import[] {
  return files.flatMap(({ path, nodes }) =>
    nodes.flatMap((node) => {
      const kind = importKindOf(node)
      return kind ? { from: path, to: targetOf(node, path), kind } : []
    }),
  )
}

/**
 * `import { type A } from 'b'` is a real import: with `verbatimModuleSyntax`, `import {} from 'b'` is what is left of it.
 */
function importKindOf(node: SyntaxNode): ImportKind | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
      return node.importKind === 'type' ? 'type' : 'static'
    case 'ExportAllDeclaration':
    case 'ExportNamedDeclaration':
      return isNode(node.source) ? (node.exportKind === 'type' ? 'type' : 'static') : undefined
    case 'ImportExpression':
      return 'dynamic'
    case 'TSImportType':
      return 'type'
    default:
      return undefined
  }
}

function targetOf({ source }: SyntaxNode, from: string): string {
  const specifier = isNode(source) && typeof source.value === 'string' ? source.value : COMPUTED
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : specifier
}

/** Returns the shortest import path from an entry to each module that it reaches: `entry → … → module`. */
export function findReach(
  imports: readonly Import[],
  entry: string,
  kinds: readonly ImportKind[],
): ReadonlyMap<string, string> {
  const reach = new Map([[entry, entry]])
  // Iterating a Map includes entries that are added meanwhile.
  for (const [module, way] of reach) {
    for (const { from, to, kind } of imports) {
      if (from === module && kinds.includes(kind) && !reach.has(to)) {
        reach.set(to, `${way} → ${to}`)
      }
    }
  }
  return reach
}

/** Returns import cycles as `a → b → a`: the shortest one for each file in a cycle. */
export function findCycles(imports: readonly Import[], kinds: readonly ImportKind[]): string[] {
  const circles = new Map<string, string>()
  for (const { from, to, kind } of imports) {
    const back = kinds.includes(kind) ? findReach(imports, to, kinds).get(from) : undefined
    if (back !== undefined) {
      const members = back.split(' → ').toSorted().join()
      circles.set(members, circles.get(members) ?? `${from} → ${back}`)
    }
  }
  return [...circles.values()]
}
