/**
 * Registers your configuration's type, so that the names of templates and services are checked where they are used.
 *
 * @example
 * declare module 'vitest-infra' {
 *   interface Register { config: typeof import('./infra.config.ts').default }
 * }
 */
// oxlint-disable-next-line typescript/no-empty-object-type -- declared to be added to
export interface Register {}

/** The built-in services. */
export type BuiltInServiceName = 'postgres' | 'redis'

/** The names of templates in the registered configuration; any string if none is registered. */
export type TemplateName = Register extends { config: { templates: infer Templates } }
  ? 'default' | Extract<keyof Templates, string>
  : string

/** The names of services in the registered configuration; any string if it does not have the option `services`. */
export type ServiceName = Register extends { config: { services: infer Services } } ? ServiceNamesIn<Services> : string

/** The names in a value of the option `services`. */
export type ServiceNamesIn<Services> = Services extends readonly (infer Name)[]
  ? Extract<Name, string>
  : Exclude<BuiltInServiceName | Extract<keyof Services, string>, LeftOut<Services>>

type LeftOut<Services> = { [Name in keyof Services]: Services[Name] extends false ? Name : never }[keyof Services]
