import type { ResolvedSpec } from '../spec/resolve-spec.ts'
import { defineCustom } from './custom.ts'
import { definePostgres } from './postgres.ts'
import { defineRedis } from './redis.ts'
import type { ServiceDefinition } from './service.ts'

/** What every service of a spec is, for who asks servers that are up. */
export function defineServices({ postgres, redis, custom }: ResolvedSpec): readonly ServiceDefinition[] {
  const builtIn = [postgres && definePostgres(postgres), redis && defineRedis(redis)]
  return [...builtIn.filter((definition) => definition !== undefined), ...custom.map(defineCustom)]
}
