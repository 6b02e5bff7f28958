import { isNode, partsOf, type SourceFile, type SyntaxNode } from './source.ts'

/** Placeholder for text known only at run time. */
const HOLE = '…'

/** The possible values of a string expression, as far as its source shows. */
export function staticTexts(expression: unknown, file: SourceFile): string[] {
  if (!isNode(expression)) {
    return [HOLE]
  }
  const textsOf = (part: unknown) => staticTexts(part, file)
  switch (expression.type) {
    case 'Literal':
      return [String(expression.value)]
    case 'TemplateLiteral':
      return partsOf(expression, 'quasis')
        .flatMap((quasi, index) => [[textOfQuasi(quasi)], textsOf(partsOf(expression, 'expressions')[index])])
        .slice(0, -1)
        .reduce<string[]>((heads, tails) => join(heads, tails), [''])
    case 'BinaryExpression':
      return join(textsOf(expression.left), textsOf(expression.right))
    case 'ConditionalExpression':
      return [...textsOf(expression.consequent), ...textsOf(expression.alternate)]
    case 'LogicalExpression':
      return [...textsOf(expression.left), ...textsOf(expression.right)]
    case 'ArrowFunctionExpression':
      return textsOf(expression.body)
    case 'Identifier':
      return textsOf(findConstant(String(expression.name), file))
    default:
      return [HOLE]
  }
}

function join(heads: readonly string[], tails: readonly string[]): string[] {
  return heads.flatMap((head) => tails.map((tail) => head + tail))
}

function textOfQuasi({ value }: SyntaxNode): string {
  return (value as { cooked: string }).cooked
}

/** The initialiser of `const name = …`, if the file has exactly one. */
function findConstant(name: string, { nodes }: SourceFile): unknown {
  const [declarator, another] = nodes.filter(
    ({ type, id }) => type === 'VariableDeclarator' && isNode(id, 'Identifier') && id.name === name,
  )
  return another ? undefined : declarator?.init
}
