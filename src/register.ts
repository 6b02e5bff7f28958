/**
 * Tells the types of this package about your configuration, so that the names of templates and of services are checked
 * where they are used.
 *
 * @example
 * declare module 'vitest-infra' {
 *   interface Register { config: typeof import('./infra.config.ts').default }
 * }
 */
// oxlint-disable-next-line typescript/no-empty-object-type -- declared to be added to
export interface Register {}

/** The services that vitest-infra knows by name. */
export type BuiltInServiceName = 'postgres' | 'redis'

/** The names of the templates: those of the registered configuration, else any text. */
export type TemplateName = Register extends { config: { templates: infer Templates } }
  ? 'default' | Extract<keyof Templates, string>
  : string

/** The names of the services: those of the registered configuration, if it names any, else any text. */
export type ServiceName = Register extends { config: { services: infer Services } } ? ServiceNamesIn<Services> : string

/** The names in what the option `services` was given. */
export type ServiceNamesIn<Services> = Services extends readonly (infer Name)[]
  ? Extract<Name, string>
  : Exclude<BuiltInServiceName | Extract<keyof Services, string>, LeftOut<Services>>

type LeftOut<Services> = { [Name in keyof Services]: Services[Name] extends false ? Name : never }[keyof Services]
