export { InfraError, type InfraErrorCode } from './errors.ts'
export type { EnvironmentVariableSet } from './environment/variable-set.ts'
export type {
  InfraFacts,
  PostgresFacts,
  ProviderName,
  RedisFacts,
  ServiceFacts,
  StackFacts,
} from './environment/infra-facts.ts'
export type { ServiceState } from './config/service-state.ts'
export type { Register, ServiceName, TemplateName } from './register.ts'
export {
  type CustomServiceOptions,
  defineInfra,
  type ExternalOptions,
  type InfraOptions,
  type PostgresOptions,
  type RedisOptions,
  type Seed,
  type SeedContext,
  type SeedFunction,
  type SeedStep,
  type TemplateOptions,
} from './config/infra-options.ts'
export type { Healthcheck, InfraService } from './config/infra-service.ts'
