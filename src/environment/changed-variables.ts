type Variables = Readonly<Record<string, string | undefined>>

/** A variable of a lease whose value was changed afterwards. */
export interface ChangedVariable {
  readonly service: 'postgres' | 'redis'
  readonly name: string
  readonly value: string
}

/** The variables that contain a service's address. */
const ADDRESS_VARIABLES = {
  postgres: ['DATABASE_URL', 'DB_HOST', 'DB_PORT', 'DB_NAME', 'PGHOST', 'PGPORT', 'PGDATABASE'],
  redis: ['REDIS_URL', 'REDIS_HOST', 'REDIS_PORT'],
} as const

/** Returns the address variables whose value differs from the lease's. */
export function changedVariables(given: Variables, now: Variables): ChangedVariable[] {
  return (['postgres', 'redis'] as const).flatMap((service) =>
    ADDRESS_VARIABLES[service].flatMap((name) => {
      const value = now[name]
      return given[name] === undefined || value === undefined || value === given[name] ? [] : [{ service, name, value }]
    }),
  )
}
