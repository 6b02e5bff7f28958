import * as v from 'valibot'

type Schema = v.GenericSchema

const OBJECT = refuse('must be an object')
const PLAIN_OBJECT = refuse('must be a plain object')
const NO_OPTION = refuse('is not an option')
const NO_NAME = refuse('is not a name that can be given')

/** An object that may have these keys, and has to have some; each key that is not one of them is named. */
export function shape(entries: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema {
  return eachKey((key) => {
    const schema = Object.hasOwn(entries, key) ? entries[key] : undefined
    return schema === undefined ? NO_OPTION : required.includes(key) ? schema : v.optional(schema)
  }, required)
}

/** An object of things that the user names. */
export function record(names: Schema, values: Schema): Schema {
  return eachKey((key) => {
    const fault = v.safeParse(names, key).issues?.[0].message
    return key === '__proto__' ? NO_NAME : fault === undefined ? values : refuse(asFaultOfName(fault))
  })
}

/** Whether it was written as `{ … }`: what a list, a promise or an instance of a class has is not read as options. */
export function isPlainObject(input: unknown): input is Readonly<Record<string, unknown>> {
  if (typeof input !== 'object' || input === null) {
    return false
  }
  // Vitest may have made it in another realm, whose Object.prototype is not ours.
  const prototype: unknown = Object.getPrototypeOf(input)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** Valibot's own objects pass over `constructor` and `__proto__`, whatever they hold. */
function eachKey(schemaOf: (key: string) => Schema, required: readonly string[] = []): Schema {
  return v.lazy((input) => {
    if (!isPlainObject(input)) {
      return typeof input === 'object' && input !== null && !Array.isArray(input) ? PLAIN_OBJECT : OBJECT
    }
    const keys = new Set([...required, ...Object.keys(input)])
    return v.object(Object.fromEntries([...keys].map((key) => [key, schemaOf(key)])))
  })
}

function refuse(message: string): Schema {
  return v.custom(() => false, message)
}

function asFaultOfName(fault: string): string {
  return fault.startsWith('is ') ? fault : `is a name, which ${fault}`
}
