import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createProject } from '../../support/create-project.ts'
import type { Contender } from '../../support/contender.ts'
import { runProject } from '../../support/run-project.ts'
import { type SchemaShape, writeMigrations } from '../../support/schema.ts'
import type { Session } from '../../support/session.ts'

export const MEASURES = {
  firstTest: 'process start to first test',
  exit: 'last test to process exit',
} as const

/** A way to provide the project `start` with its services. */
export interface StartVariant {
  readonly name: string
  /** Selects this variant in the project's vitest.config.ts. */
  readonly env: Readonly<Record<string, string>>
  /** Asked for before each run. */
  readonly freshEnv?: () => Promise<Record<string, string>>
  /** Its servers do not run as root. */
  readonly refusesRoot?: boolean
  /** Prepares what the first run needs, such as a snapshot. */
  readonly prepare?: (session: Session, folder: string) => Promise<void>
  /** Undoes `prepare`. */
  readonly cleanup?: (session: Session, folder: string) => Promise<void>
}

/** The user that servers run as which refuse root. */
const NOBODY = 65534

/** Runs the project with one test file, once a round, each time in a new process. */
export function startContender(variant: StartVariant, shape: SchemaShape): Contender {
  return {
    name: variant.name,
    async prepare(session) {
      const folder = await createProject(session, 'start')
      await writeMigrations(join(folder, 'db/migrations'), shape)
      await variant.prepare?.(session, folder)
      return {
        run: () => measureRun(session, folder, variant, shape),
        cleanup: async () => variant.cleanup?.(session, folder),
      }
    },
  }
}

async function measureRun(session: Session, folder: string, variant: StartVariant, { tables }: SchemaShape) {
  const uid = variant.refusesRoot && process.getuid?.() === 0 ? NOBODY : undefined
  if (uid !== undefined) {
    await promisify(execFile)('chown', ['-hR', String(uid), folder])
  }
  const common = {
    BENCH_ID: session.id,
    BENCH_LABELS: JSON.stringify(session.labels),
    BENCH_TABLES: String(tables),
    COMPOSE_PROJECT_NAME: `vitest-infra-bench-${session.id}`,
    // Ryuk's image is not available everywhere; without it, all contenders that use Testcontainers start faster.
    TESTCONTAINERS_RYUK_DISABLED: 'true',
  }
  const env = { ...common, ...variant.env, ...(await variant.freshEnv?.()) }
  const { beganMs, endedMs, marks } = await runProject(session, folder, { env, uid })
  return {
    [MEASURES.firstTest]: [(marks.get('first test') ?? Number.NaN) - beganMs],
    [MEASURES.exit]: [endedMs - (marks.get('last test') ?? Number.NaN)],
  }
}
