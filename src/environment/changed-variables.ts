type Variables = Readonly<Record<string, string | undefined>>

/** A variable of a lease that has another value by now. */
export interface ChangedVariable {
  readonly service: 'postgres' | 'redis'
  readonly name: string
  readonly value: string
}

/** Those that say where a service is. */
const PLACES = {
  postgres: ['DATABASE_URL', 'DB_HOST', 'DB_PORT', 'DB_NAME', 'PGHOST', 'PGPORT', 'PGDATABASE'],
  redis: ['REDIS_URL', 'REDIS_HOST', 'REDIS_PORT'],
} as const

/** The variables that no longer lead to where they led when they were set. */
export function changedVariables(given: Variables, now: Variables): ChangedVariable[] {
  return (['postgres', 'redis'] as const).flatMap((service) =>
    PLACES[service].flatMap((name) => {
      const value = now[name]
      return given[name] === undefined || value === undefined || value === given[name] ? [] : [{ service, name, value }]
    }),
  )
}
