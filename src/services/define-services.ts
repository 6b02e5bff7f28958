import type { ResolvedSpec } from '../config/resolve-spec.ts'
import { defineCustom } from './custom.ts'
import { definePostgres } from './postgres.ts'
import { defineRedis } from './redis.ts'
import type { ServiceDefinition } from './service.ts'

/** Defines every service of a spec, for commands that look for running servers. */
export function defineServices({ postgres, redis, custom }: ResolvedSpec): readonly ServiceDefinition[] {
  const builtIn = [postgres && definePostgres(postgres), redis && defineRedis(redis)]
  return [...builtIn.filter((definition) => definition !== undefined), ...custom.map(defineCustom)]
}
