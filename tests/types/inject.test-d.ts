import { assertType, expectTypeOf, inject, test } from 'vitest'
import type { InfraFacts, ProviderName, ServiceState } from 'vitest-infra'

test("inject('infra') is typed", () => {
  expectTypeOf(inject('infra')).toEqualTypeOf<InfraFacts>()
  expectTypeOf(inject('infra').provider).toEqualTypeOf<ProviderName>()
  expectTypeOf(inject('infra').env).toEqualTypeOf<Readonly<Record<string, string>>>()
})

test("inject('infra') has PostgreSQL's address and credentials", () => {
  const { postgres } = inject('infra')
  expectTypeOf(postgres).toEqualTypeOf<{
    readonly host: string
    readonly port: number
    readonly user: string
    readonly password: string
    readonly database: string
    readonly parameters?: string
    readonly schema?: string
    readonly url: string
    readonly version: string
  }>()
})

test("inject('infra') has Redis's address", () => {
  const { redis } = inject('infra')
  expectTypeOf(redis).toEqualTypeOf<{
    readonly host: string
    readonly port: number
    readonly database?: number
    readonly user?: string
    readonly password?: string
    readonly tls?: true
    readonly url: string
    readonly version: string
  }>()
})

test("inject('infra') has the state of each service", () => {
  const { services } = inject('infra')
  expectTypeOf(services).toEqualTypeOf<
    Readonly<Record<string, { readonly host: string; readonly port: number; readonly state: ServiceState }>>
  >()
})

test('inject() and its facts know no other names', () => {
  // @ts-expect-error: not a key
  assertType(inject('infrastructure'))
  // @ts-expect-error: not a service
  assertType(inject('infra').mysql)
  // @ts-expect-error: not a fact
  assertType(inject('infra').postgres.connectionString)
})

test('facts cannot be changed', () => {
  const facts = inject('infra')
  // @ts-expect-error: readonly
  assertType((facts.postgres.port = 1))
  // @ts-expect-error: readonly
  assertType((facts.env.DB_HOST = 'elsewhere'))
})
