import * as v from 'valibot'

type Schema = v.GenericSchema

const OBJECT = refuse('must be an object')
const PLAIN_OBJECT = refuse('must be a plain object')
const NO_OPTION = refuse('is not an option')
const NO_NAME = refuse('is not a name that can be given')

/** Returns a schema for an object with these keys, some of which are `required`. Any other key is reported by name. */
export function shape(entries: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema {
  return eachKey((key) => {
    const schema = Object.hasOwn(entries, key) ? entries[key] : undefined
    return schema === undefined ? NO_OPTION : required.includes(key) ? schema : v.optional(schema)
  }, required)
}

/** Returns a schema for an object whose keys are names that the user chooses. */
export function record(names: Schema, values: Schema): Schema {
  return eachKey((key) => {
    const fault = v.safeParse(names, key).issues?.[0].message
    return key === '__proto__' ? NO_NAME : fault === undefined ? values : refuse(asFaultOfName(fault))
  })
}

/** Whether a value is a plain object. The contents of a list, a promise or a class instance are not read as options. */
export function isPlainObject(input: unknown): input is Readonly<Record<string, unknown>> {
  if (typeof input !== 'object' || input === null) {
    return false
  }
  // Vitest may have created the value in another realm, which has its own Object.prototype.
  const prototype: unknown = Object.getPrototypeOf(input)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/**
 * Returns a schema that checks each key of the input. Valibot's own object schemas skip the keys `constructor` and
 * `__proto__`.
 */
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
