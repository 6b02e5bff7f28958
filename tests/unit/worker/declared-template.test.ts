import { expect, test } from 'vitest'
import { findDeclaredTemplate, readDeclaredTemplate } from '../../../src/worker/declared-template.ts'

test.for([
  "useTemplate('scenario')",
  'useTemplate("scenario")',
  'useTemplate(`scenario`)',
  "import { useTemplate } from 'vitest-infra/test'\n\nuseTemplate('scenario')\n",
  "import { useTemplate } from 'vitest-infra/test'\r\nuseTemplate('scenario')\r\n",
  "  useTemplate( 'scenario' )",
  "useTemplate(\n  'scenario',\n)",
  ";useTemplate('scenario')",
  "await useTemplate('scenario')",
  "useTemplate('scenario')\nuseTemplate('other')",
  "// useTemplate('other')\nuseTemplate('scenario')",
  "/*\nuseTemplate('other')\n*/\nuseTemplate('scenario')",
  "const files = 'src/**/*.ts'\nuseTemplate('scenario') // until */",
  "const text = `\nuseTemplate('other')\n`\nuseTemplate('scenario')",
  `const text = 'it\\'s'\nconst more = "/*"\nuseTemplate('scenario')`,
  "const quote = /['\"]/\nuseTemplate('scenario')",
  '#!/usr/bin/env node\n\'use strict\'\nuseTemplate("scenario")',
])('findDeclaredTemplate() reads %j', (source) => {
  expect(findDeclaredTemplate(source)).toBe('scenario')
})

test.for([
  '',
  "const name = 'scenario'\nuseTemplate(name)",
  'useTemplate(`scenario-${1}`)',
  "useTemplate('')",
  "mailer.useTemplate('scenario')",
  "const helper = () => useTemplate('scenario')",
  "import { useTemplate } from 'vitest-infra/test'",
  "reuseTemplate('scenario')",
  "// useTemplate('scenario')",
  "/**\n * useTemplate('scenario')\n */",
  "/*\nuseTemplate('scenario')\n*/",
  "const text = `\nuseTemplate('scenario')\n`",
])('findDeclaredTemplate() finds nothing in %j', (source) => {
  expect(findDeclaredTemplate(source)).toBeUndefined()
})

// Well within the time that a test has.
test('findDeclaredTemplate() reads a large file', () => {
  const line = `test('a /* b', () => expect("x").toBe(\`y\${1}\`)) // it's\n`
  expect(findDeclaredTemplate(`${line.repeat(50_000)}useTemplate('scenario')`)).toBe('scenario')
})

test('readDeclaredTemplate() finds nothing in a missing file', async () => {
  expect(await readDeclaredTemplate('/no/such/file.test.ts')).toBeUndefined()
})
