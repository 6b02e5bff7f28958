import { isNode, placeOf, type SourceFile, type SyntaxNode } from './source.ts'

export interface GlobalReference {
  /** `console`, `process`, … */
  readonly name: string
  /** The accessed property: `env` for `process.env`; `undefined` if the global is used as a whole. */
  readonly property: string | undefined
  /** Location, such as `plugin.ts:12`. */
  readonly place: string
}

/** Finds the uses of global names as values in a file; properties and keys of the same name do not count. */
export function findGlobalReferences(file: SourceFile, names: readonly string[]): GlobalReference[] {
  const labels = new Set(file.nodes.flatMap(labelsOf))
  const owners = new Map(
    file.nodes.filter(({ type }) => type === 'MemberExpression').map((node) => [node.object, node]),
  )
  return file.nodes
    .filter((node) => node.type === 'Identifier' && names.includes(String(node.name)) && !labels.has(node))
    .map((node) => ({ name: String(node.name), property: propertyOf(owners.get(node)), place: placeOf(file, node) }))
}

/** The parts of a node that are mere labels, such as `b` in `a.b`, in `{ b: a }` and in `interface A { b: string }`. */
function labelsOf(node: SyntaxNode): unknown[] {
  switch (node.type) {
    case 'MemberExpression':
      return node.computed || (isNode(node.object) && node.object.name === 'globalThis') ? [] : [node.property]
    case 'Property':
    case 'PropertyDefinition':
    case 'MethodDefinition':
    case 'TSPropertySignature':
    case 'TSMethodSignature':
      return node.computed ? [] : [node.key]
    case 'TSQualifiedName':
      return [node.right]
    default:
      return []
  }
}

function propertyOf(owner: SyntaxNode | undefined): string | undefined {
  return owner && !owner.computed && isNode(owner.property) ? String(owner.property.name) : undefined
}
