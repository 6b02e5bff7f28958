import { CACHE_FOLDER } from '../../internal/names.ts'
import { userFolder } from '../../internal/user-folder.ts'
import type { ServiceDefinition } from '../../services/service.ts'
import type { ResolvedSpec } from '../../config/resolve-spec.ts'
import { findAccount } from './account.ts'
import { ensureBinaries } from './ensure-binaries.ts'
import { findPostgres } from './find-postgres.ts'
import { findRedis } from './find-redis.ts'
import { type DataPlace, findDataPlace } from './folders.ts'
import type { LocalProgram } from './local-program.ts'
import { isMissing, type Missing, missingEngine } from './missing.ts'
import { describePostgres } from './postgres-program.ts'
import { describeRedis } from './redis-program.ts'
import type { Supervisor } from './supervisor.ts'

/** Prepares the program that runs a service. */
export type PrepareProgram = (definition: ServiceDefinition, supervisor: Supervisor) => Promise<LocalProgram>

/** The programs and folders of this machine that local servers use. */
export interface EmbeddedHome {
  /** The function that prepares the program of a service, by the service's name. */
  readonly programs: ReadonlyMap<string, PrepareProgram>
  readonly place: DataPlace
  readonly childEnvironment: Readonly<Record<string, string>>
  /** A description of the programs for the user. */
  readonly description: string
}

export interface HomeContext {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly platform: NodeJS.Platform
  readonly architecture: string
}

/** Environment variables without which a program may not start. */
const PASSED_ON = ['PATH', 'Path', 'SystemRoot', 'TEMP', 'TMP', 'TMPDIR', 'LD_LIBRARY_PATH']
/** The cache folder for root, because other accounts cannot read root's own cache folder. */
const SYSTEM_CACHE = `/var/cache/${CACHE_FOLDER}`

/** Resolves to the programs and folders that a spec's services need as local processes, or to what is missing. */
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
  const caches = account === undefined ? [cache] : [cache, SYSTEM_CACHE]
  const place = await findDataPlace(environment)
  const passed = childEnvironment(environment)
  const programs = new Map<string, PrepareProgram>()
  if (postgres) {
    programs.set('postgres', async ({ environment: variables }, supervisor) =>
      describePostgres({
        supervisor,
        platform,
        origin: postgres.description,
        binaries: await ensureBinaries(postgres, { account, caches: [...caches, supervisor.folder] }),
        account,
        cache,
        variables,
        environment: passed,
        isMemory: place.isMemory,
      }),
    )
  }
  if (redis) {
    programs.set('redis', () => describeRedis(redis.file, account))
  }
  return {
    programs,
    place,
    childEnvironment: passed,
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
