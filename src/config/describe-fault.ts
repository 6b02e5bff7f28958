import type * as v from 'valibot'
import { redact } from '../internal/redact.ts'
import { isPlainObject } from './object-shape.ts'

type Issue = v.BaseIssue<unknown>

const SECRET = /(^|\.)password$|^external\.(?:postgres|redis)$/
const PLAIN_KEY = /^[\w$-]+$/
const LONGEST_EXCERPT = 100

/** Describes all validation issues in one line. */
export function describeFaults(issues: readonly Issue[]): string {
  return issues.flatMap(innermost).map(describe).join('; ')
}

/**
 * Returns the issue itself or, if the input matches no member of a union, the nested issues: they show what the user
 * meant.
 */
function innermost(issue: Issue): Issue[] {
  const deeper = (issue.issues ?? []).flatMap(innermost).filter(({ path }) => (path?.length ?? 0) > 0)
  const prefix = issue.path ?? []
  return deeper.length === 0
    ? [issue]
    : deeper.map((inner) => ({ ...inner, path: [...prefix, ...(inner.path ?? [])] as never }))
}

function describe(issue: Issue): string {
  const path = pathOf(issue)
  const { message } = issue
  if (message.startsWith('is ')) {
    return `${path} ${message}`
  }
  if (issue.input === undefined) {
    return `${path} is missing`
  }
  const text = message.startsWith('Invalid') ? `must be ${inWords(issue.expected)}` : message
  return SECRET.test(path) ? `${path} ${text}` : `${path} ${text}, but is ${show(issue.input)}`
}

function pathOf({ path }: Issue): string {
  const keys = (path ?? []).map(({ key }) => String(key))
  return keys.map((key) => (PLAIN_KEY.test(key) ? key : JSON.stringify(key))).join('.') || 'the whole'
}

/** Turns `("auto" | "docker")` into `"auto" or "docker"`. */
function inWords(expected: string | null): string {
  return (expected ?? 'something else')
    .replaceAll(/[()]/g, '')
    .replaceAll(' | ', ' or ')
    .replaceAll('Array', 'a list')
    .replaceAll('Function', 'a function')
    .replaceAll(/\b(string|number|boolean)\b/g, 'a $1')
}

function show(input: unknown): string {
  switch (typeof input) {
    case 'string':
      return excerptOf(redact(JSON.stringify(input), { user: undefined, password: undefined }))
    case 'function':
      return 'a function'
    case 'object':
      return input === null ? 'null' : showObject(input)
    case 'bigint':
      return `${input}n`
    default:
      return String(input)
  }
}

function excerptOf(text: string): string {
  return text.length > LONGEST_EXCERPT ? `${text.slice(0, LONGEST_EXCERPT)}…` : text
}

function showObject(input: object): string {
  if (Array.isArray(input)) {
    return 'a list'
  }
  const { constructor } = input as { constructor?: { name?: unknown } }
  return isPlainObject(input) ? 'an object' : `an instance of ${String(constructor?.name)}`
}
