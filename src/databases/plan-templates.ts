import { dirname } from 'node:path'
import { type PostgresAddress, libpqVariables, postgresUrl, postgresVariables } from '../environment/variable-set.ts'
import { InfraError, messageOf } from '../errors.ts'
import { digest } from '../internal/digest.ts'
import { remedyForTaken } from '../seeds/already-there.ts'
import { findSeedFiles } from '../seeds/find-seed-files.ts'
import { withPostgres, withPostgresPool } from '../services/postgres.ts'
import { quote } from '../services/postgres-admin.ts'
import type { Seed, SeedStep } from '../config/infra-options.ts'
import { identifyStep } from '../config/identify-step.ts'
import type { ResolvedTemplate } from '../config/resolve-spec.ts'
import { hashFiles, locateFile } from './hash-files.ts'
import type { TemplatePlan } from './templates.ts'

/** One step that fills a template, with its inputs. */
interface Step {
  readonly inputs: string
  readonly files: readonly string[]
  /** Whether equal `inputs` also produce the same result in another process. */
  readonly isRepeatable: boolean
  readonly run: (address: PostgresAddress) => Promise<void>
}

/**
 * Plans the steps of each template. Reads the files but does not run them.
 *
 * @throws InfraError `INFRA_SEED_MISSING` if a configured path does not exist
 */
export function planTemplates(templates: readonly ResolvedTemplate[], root: string): TemplatePlan[] {
  const plans = templates.flatMap((template) => planTemplate(template, root))
  // Each plan comes after the plan that it extends.
  const repeatable = new Set<string | undefined>([undefined])
  return plans.map((plan) => {
    const isRepeatable = plan.isRepeatable && repeatable.has(plan.from)
    if (isRepeatable) {
      repeatable.add(plan.name)
    }
    return { ...plan, isRepeatable }
  })
}

/** Plans one template. The steps before the first function without a key become a separate template that runs share. */
function planTemplate(template: ResolvedTemplate, root: string): TemplatePlan[] {
  const { name, from, extensions } = template
  const sources = [...planSource('migrations', template, root), ...planSource('seeds', template, root)]
  const steps = [...extensions.map(planExtension), ...sources]
  const end = steps.findIndex((step) => !step.isRepeatable)
  if (end <= 0) {
    return [planSteps(steps, { name, from })]
  }
  const beginning = `${name}, without its functions`
  return [
    planSteps(steps.slice(0, end), { name: beginning, from, isBeginning: true }),
    planSteps(steps.slice(end), { name, from: beginning }),
  ]
}

function planSteps(steps: readonly Step[], place: Pick<TemplatePlan, 'name' | 'from' | 'isBeginning'>): TemplatePlan {
  return {
    ...place,
    files: steps.flatMap(({ files }) => files),
    isEmpty: steps.length === 0,
    isRepeatable: steps.every((step) => step.isRepeatable),
    inputs: digest(steps.map(({ inputs }) => inputs).join('\n')),
    async build(address) {
      for (const step of steps) {
        await step.run(address)
      }
    },
  }
}

function planSource(key: 'migrations' | 'seeds', template: ResolvedTemplate, root: string): Step[] {
  const configured = template[key]
  if (configured === undefined) {
    return planFiles(findSeedFiles('postgres', { root, migrations: [], seeds: [], [key]: undefined }), root)
  }
  return configured.flatMap((seed) => planSeed(key, seed, root))
}

function planSeed(key: 'migrations' | 'seeds', seed: Seed, root: string): Step[] {
  if (typeof seed === 'string') {
    return planFiles(findSeedFiles('postgres', { root, migrations: [], seeds: [], [key]: [seed] }), root)
  }
  const step: SeedStep =
    typeof seed === 'function' ? { name: seed.name || `a function of ${key}`, files: [], run: seed } : seed
  const inputs = `${identifyStep(step)} ${hashFiles(step.files, root)}`
  const files = step.files.map((file) => locateFile(file, root))
  return [{ inputs, files, isRepeatable: step.key !== undefined, run: runStep(step, root) }]
}

function planExtension(extension: string): Step {
  return {
    inputs: `extension ${extension}`,
    files: [],
    isRepeatable: true,
    run: (address) =>
      withPostgres(address, async (client) => {
        await client.query(`CREATE EXTENSION IF NOT EXISTS ${quote(extension)} CASCADE`).catch((error: unknown) => {
          throw new InfraError('INFRA_SEED_FAILED', {
            problem: `Cannot create extension "${extension}": ${messageOf(error)}`,
            remedy: 'Choose an image that has it (postgres.image), or take it out of postgres.extensions',
            service: 'postgres',
            cause: error,
          })
        })
      }),
  }
}

function planFiles(files: readonly string[], root: string): Step[] {
  if (files.length === 0) {
    return []
  }
  return [
    {
      inputs: hashFiles(files, root),
      // The folder of each file is watched, so that a new file in it is noticed.
      files: [...new Set(files.map((file) => dirname(file)))],
      isRepeatable: true,
      run: async (address) => {
        const { loadSqlFiles } = await import('../seeds/load-sql-files.ts')
        await withPostgres(address, (client) => loadSqlFiles(client, files, root))
      },
    },
  ]
}

function runStep(step: SeedStep, root: string): (address: PostgresAddress) => Promise<void> {
  return async (address) => {
    const env = { ...postgresVariables(address), ...libpqVariables(address) }
    try {
      await withPostgresPool(address, async (pool) => step.run({ url: postgresUrl(address), pool, env, root }))
    } catch (error) {
      throw error instanceof InfraError ? error : stepFailed(step, error)
    }
  }
}

function stepFailed({ name }: SeedStep, error: unknown): InfraError {
  return new InfraError('INFRA_SEED_FAILED', {
    problem: `Cannot fill the template: ${name} failed: ${messageOf(error)}`,
    remedy: remedyForTaken(messageOf(error)) ?? `Correct ${name} and run the tests again`,
    service: 'postgres',
    cause: error,
  })
}
