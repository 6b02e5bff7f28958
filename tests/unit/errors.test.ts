import { existsSync, readFileSync } from 'node:fs'
import { runInNewContext } from 'node:vm'
import { ReplyError } from 'ioredis'
import { expect, test } from 'vitest'
import { InfraError, messageOf, plainError } from '../../src/errors.ts'
import { isNode, partsOf, placeOf, readSources, type SourceFile, type SyntaxNode } from './support/source.ts'
import { staticTexts } from './support/static-text.ts'

const sources = readSources()

/** Every code, in the order of `errors.ts`. Add a new code here and to the README's "Errors". */
const CODES = [
  'INFRA_CONFIG_LOAD',
  'INFRA_CONFIG_INVALID',
  'INFRA_DURATION_INVALID',
  'INFRA_PORT_INVALID',
  'INFRA_PORT_TAKEN',
  'INFRA_PORT_VARIABLE_MISSING',
  'INFRA_NAME_DUPLICATE',
  'INFRA_HEALTHCHECK_WINDOW',
  'INFRA_MIRROR_DIFFERS',
  'INFRA_OPTIONS_CONFLICT',
  'INFRA_ENV_FUNCTION',
  'INFRA_ENGINE_UNREACHABLE',
  'INFRA_NO_PROVIDER',
  'INFRA_HOST_REFUSED',
  'INFRA_ROLE_REFUSED',
  'INFRA_NOT_UP',
  'INFRA_IMAGE_PULL',
  'INFRA_SERVICE_START',
  'INFRA_SERVICE_UNHEALTHY',
  'INFRA_SERVICE_EXITED',
  'INFRA_SERVICE_LOST',
  'INFRA_SEED_MISSING',
  'INFRA_SEED_FAILED',
  'INFRA_TEMPLATE_UNKNOWN',
  'INFRA_TEMPLATE_CYCLE',
  'INFRA_TEMPLATE_UNDECLARED',
  'INFRA_LEASE_FAILED',
  'INFRA_LEASE_LIMIT',
  'INFRA_SERVICE_SHARED',
  'INFRA_START_ABORTED',
  'INFRA_STOP_FAILED',
]

/** Files that pass on a message which another part has made, and so say nothing of their own. */
const MESSENGERS = ['leasing/lease-client.ts']

/** `new InfraError(code, details)` anywhere. */
const raised = sources.flatMap((file) =>
  file.nodes
    .filter((node) => node.type === 'NewExpression' && isNode(node.callee) && node.callee.name === 'InfraError')
    .map((node) => {
      const details = partsOf(node, 'arguments')[1]
      return { file, place: placeOf(file, node), properties: details ? partsOf(details, 'properties') : [] }
    }),
)

interface Text {
  readonly place: string
  readonly text: string
}

const problems: readonly Text[] = raised
  .filter(({ file }) => !MESSENGERS.includes(file.path))
  .flatMap(({ file, properties }) => properties.flatMap((property) => textsOf('problem', property, file)))

/** Includes those of helpers that create an `InfraError` from their arguments. */
const remedies: readonly Text[] = sources.flatMap((file) => {
  const destructured = file.nodes.flatMap((node) => (node.type === 'ObjectPattern' ? partsOf(node, 'properties') : []))
  return file.nodes
    .filter((node) => node.type === 'Property' && !destructured.includes(node))
    .flatMap((property) => textsOf('remedy', property, file))
})

/** The text of a property with this name. */
function textsOf(name: string, property: SyntaxNode, file: SourceFile): Text[] {
  const { key, value } = property
  return isNode(key) && key.name === name
    ? staticTexts(value, file).map((text) => ({ place: placeOf(file, property), text }))
    : []
}

test('InfraErrorCode lists every code and no other', () => {
  const declared = sources
    .find(({ path }) => path === 'errors.ts')
    ?.nodes.find(
      (node) => node.type === 'TSTypeAliasDeclaration' && isNode(node.id) && node.id.name === 'InfraErrorCode',
    )
  const union = declared && partsOf(declared, 'typeAnnotation')[0]
  const codes = union && partsOf(union, 'types').map(({ literal }) => isNode(literal) && literal.value)
  expect(codes).toEqual(CODES)
})

test('every code is raised somewhere', () => {
  const used = new Set(
    sources
      .filter(({ path }) => path !== 'errors.ts')
      .flatMap(({ nodes }) => nodes.flatMap(({ type, value }) => (type === 'Literal' ? [value] : []))),
  )
  expect(CODES.filter((code) => !used.has(code))).toEqual([])
})

test('every InfraError has a problem and a remedy', () => {
  const incomplete = raised.flatMap(({ place, properties }) => {
    const names = properties.map(({ type, key }) => (type === 'SpreadElement' ? '...' : isNode(key) && key.name))
    return ['problem', 'remedy'].every((name) => names.includes(name) || names.includes('...')) ? [] : [place]
  })
  expect(incomplete).toEqual([])
})

test('every problem begins with "Cannot "', () => {
  expect(problems.filter(({ text }) => !text.startsWith('Cannot '))).toEqual([])
  // It would hold for none at all, too.
  expect(problems.length).toBeGreaterThan(20)
})

test('no remedy is empty', () => {
  expect(remedies.filter(({ text }) => text.trim() === '')).toEqual([])
  expect(remedies.length).toBeGreaterThan(20)
})

test('no problem and no remedy ends with a full stop or whitespace', () => {
  expect([...problems, ...remedies].filter(({ text }) => /[.!:,;\s]$/.test(text))).toEqual([])
})

test('no problem and no remedy has a contraction', () => {
  const contraction = /n't\b|\b(?:it|that|what|there)'s\b|'(?:re|ve|ll)\b/i
  expect([...problems, ...remedies].filter(({ text }) => contraction.test(text))).toEqual([])
})

const readme = new URL('../../README.md', import.meta.url)

test.runIf(existsSync(readme))('the README explains every code', () => {
  const [, section = ''] = /^## Errors\b.*\n([\s\S]*?)(?=^## |(?![\s\S]))/m.exec(readFileSync(readme, 'utf8')) ?? []
  expect(CODES.filter((code) => !section.includes(code))).toEqual([])
})

test('InfraError says what happened, the details, and what to do, in this order', () => {
  const cause = new Error('ENOENT')
  const error = new InfraError('INFRA_SERVICE_START', {
    problem: 'Cannot start service "postgres"',
    detail: 'first\nsecond',
    remedy: 'Start Docker',
    service: 'postgres',
    provider: 'docker',
    cause,
  })
  expect(error).toBeInstanceOf(Error)
  expect(error.name).toBe('InfraError')
  expect(error.message).toBe('Cannot start service "postgres"\nfirst\nsecond\nStart Docker')
  expect(error).toMatchObject({
    code: 'INFRA_SERVICE_START',
    service: 'postgres',
    provider: 'docker',
    remedy: 'Start Docker',
    cause,
  })
})

test.for([{}, { detail: '' }])('InfraError has two lines if the details are %j', (details) => {
  const error = new InfraError('INFRA_PORT_INVALID', { problem: 'Cannot a', remedy: 'Do b', ...details })
  expect(error.message).toBe('Cannot a\nDo b')
  expect('cause' in error).toBe(false)
})

test.for([
  [new Error('a'), 'a'],
  [new AggregateError([new Error('a'), 'b', new AggregateError([new Error('c')])]), 'a; b; c'],
  [new AggregateError([new Error('a')], 'all failed'), 'all failed'],
  ['text', 'text'],
  [undefined, 'undefined'],
  [null, 'null'],
] as const)('messageOf() returns the message of %s', ([error, message]) => {
  expect(messageOf(error)).toBe(message)
})

const circular = new Error('circular')
circular.cause = new Error('inner', { cause: circular })
const crowd = new AggregateError([], '')
crowd.errors.push(crowd, new Error('one'))
const unreadable = new Proxy(
  {},
  {
    get() {
      throw new Error('no property')
    },
  },
)

/** Values that a client, an engine or a user may throw, and the resulting error. */
const THROWN = [
  ['a reply of Redis', new ReplyError('NOPERM no'), { name: 'ReplyError', message: 'NOPERM no' }],
  ['an abort', new DOMException('too slow', 'AbortError'), { name: 'AbortError', message: 'too slow', code: 20 }],
  ['a timeout', AbortSignal.abort(new DOMException('late', 'TimeoutError')).reason, { name: 'TimeoutError' }],
  ['a frozen error', Object.freeze(new TypeError('cold')), { name: 'TypeError', message: 'cold' }],
  ['an error with a code', Object.assign(new Error('gone'), { code: 'ENOENT' }), { message: 'gone', code: 'ENOENT' }],
  ['an error of another context', runInNewContext("new RangeError('far')"), { name: 'RangeError', message: 'far' }],
  [
    'a getter that throws',
    Object.defineProperty(new Error('here'), 'name', {
      get() {
        throw new Error('no name')
      },
    }),
    { name: 'Error', message: 'here' },
  ],
  ['an aggregate', new AggregateError([new Error('a'), 'b']), { name: 'AggregateError', message: 'a; b' }],
  ['an aggregate in itself', crowd, { message: '; one', errors: [{ message: 'one' }] }],
  ['a circle', circular, { message: 'circular', cause: { message: 'inner' } }],
  ['text', 'no', { message: 'no' }],
  ['an object', { answer: 42 }, { message: '{ answer: 42 }' }],
  ['an object without a prototype', Object.create(null), { message: '[Object: null prototype] {}' }],
  ['a symbol', Symbol('s'), { message: 'Symbol(s)' }],
  ['a function', () => {}, { message: '[Function (anonymous)]' }],
  ['something unreadable', unreadable, { name: 'Error', message: '{}' }],
] as const

test.for(THROWN)('plainError() turns %s into a printable error', ([, thrown, expected]) => {
  const plain = plainError(thrown)
  expect(Object.getPrototypeOf(plain)).toBe(Error.prototype)
  expect(plain).toMatchObject({ stack: expect.any(String), ...expected })
  for (let error: Error | undefined = plain; error; error = error.cause as Error | undefined) {
    // Vitest does this to each cause before it prints it.
    error.name = `Caused by: ${error.name}`
  }
  expect(plain.name).toMatch(/^Caused by: /)
})

test.for(THROWN)('InfraError has a printable cause for %s', ([, cause, expected]) => {
  const error = new InfraError('INFRA_SEED_FAILED', { problem: 'Cannot a', remedy: 'Do b', cause })
  expect(error.cause).toMatchObject(expected)
  expect(Object.getPrototypeOf(error.cause)).toBe(Error.prototype)
})

test('plainError() cuts an endless chain of causes', () => {
  const endless: object = {
    message: 'again',
    get cause() {
      return Object.create(endless)
    },
  }
  let depth = 0
  for (let error: unknown = plainError(endless); error; error = (error as Error).cause) {
    depth += 1
  }
  expect(depth).toBe(10)
})
