import { userFolder } from '../../internal/user-folder.ts'
import type { ResolvedSpec } from '../../config/resolve-spec.ts'
import { findAccount } from './account.ts'
import { findPostgres, type PostgresPackage } from './find-postgres.ts'
import { findRedis, type RedisProgram } from './find-redis.ts'
import { type DataPlace, findDataPlace } from './folders.ts'
import type { Account } from './supervisor-protocol.ts'
import { isMissing, type Missing, missingEngine } from './missing.ts'

/** Everything that local servers need of this machine. */
export interface EmbeddedHome {
  readonly platform: NodeJS.Platform
  readonly postgres: PostgresPackage | undefined
  readonly redis: RedisProgram | undefined
  /** The account that they run as; none: that of this process. */
  readonly account: Account | undefined
  readonly place: DataPlace
  /** Where what can be made anew is kept, the user's own folder first. */
  readonly caches: readonly [string, ...string[]]
  readonly childEnvironment: Readonly<Record<string, string>>
  /** For people: what serves. */
  readonly description: string
}

export interface HomeContext {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly platform: NodeJS.Platform
  readonly architecture: string
}

/** What systems need to start a program at all. */
const PASSED_ON = ['PATH', 'Path', 'SystemRoot', 'TEMP', 'TMP', 'TMPDIR', 'LD_LIBRARY_PATH']
/** For root, whose own cache folder is closed to other accounts. */
const SYSTEM_CACHE = '/var/cache/vitest-infra'

/** What a spec's services need as local processes, or what they lack. */
export async function findEmbeddedHome(
  spec: ResolvedSpec,
  { environment, platform, architecture }: HomeContext,
): Promise<EmbeddedHome | readonly Missing[]> {
  const { root } = spec
  const found = await findAccount()
  const account = typeof found === 'string' ? undefined : found
  const postgres = spec.postgres && findPostgres({ root, platform, architecture })
  const redis = spec.redis && (await findRedis({ root, platform, environment, configured: spec.redis.binary }))
  const missing = [postgres, redis].filter(isMissing)
  if (postgres && typeof found === 'string') {
    missing.push({ service: 'postgres', reason: found, install: 'Run the tests as an ordinary user' })
  }
  missing.push(...spec.custom.map(({ service }) => missingEngine(service)))
  if (missing.length > 0 || isMissing(postgres) || isMissing(redis)) {
    return missing
  }
  const cache = userFolder(environment, platform)
  return {
    platform,
    postgres,
    redis,
    account,
    place: await findDataPlace(environment),
    caches: account === undefined ? [cache] : [cache, SYSTEM_CACHE],
    childEnvironment: childEnvironment(environment),
    description: [postgres, redis].flatMap((program) => program?.description ?? []).join(', '),
  }
}

function childEnvironment(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const passed = PASSED_ON.flatMap((name) => {
    const value = environment[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return { ...Object.fromEntries(passed), LC_ALL: 'C', TZ: 'UTC' }
}
