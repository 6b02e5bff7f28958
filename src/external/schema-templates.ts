import type { PostgresAddress } from '../environment/variable-set.ts'
import { InfraError } from '../errors.ts'
import type { Clock } from '../internal/clock.ts'
import { digest } from '../internal/digest.ts'
import type { Report } from '../report/events.ts'
import { listOutside } from './objects-outside.ts'
import { withPostgres } from '../services/postgres.ts'
import type { SchemaAdmin } from './schema-admin.ts'
import { layersOf, type TemplatePlan, type TemplateSource } from '../databases/templates.ts'

const MAX_OBJECTS_NAMED = 3

export interface SchemaTemplatesOptions {
  readonly admin: Pick<SchemaAdmin, 'defineTemplate'>
  readonly plans: readonly TemplatePlan[]
  readonly report: Report
  readonly clock: Clock
}

/**
 * Templates for leases that are schemas. A schema cannot be cloned. Instead, every new schema runs the steps of its
 * template and of all templates below it, the lowest first.
 */
export class SchemaTemplates implements TemplateSource {
  readonly #options: SchemaTemplatesOptions
  /** Templates that have built a schema without creating objects outside it. */
  readonly #verified = new Set<string>()

  constructor(options: SchemaTemplatesOptions) {
    this.#options = options
  }

  async ensure(name: string): Promise<string> {
    const layers = layersOf(this.#options.plans, name)
    const identity = this.databaseOf(name)
    this.#options.admin.defineTemplate(identity, (address) => this.#fill(name, layers, address))
    return identity
  }

  /**
   * Returns the name that identifies a template. Changed steps result in another name, so that schemas from earlier
   * steps are recognised as outdated.
   */
  databaseOf(name: string): string {
    const inputs = layersOf(this.#options.plans, name).map((layer) => layer.inputs)
    return `${name} ${digest(inputs.join('\n')).slice(0, 24)}`
  }

  async #fill(name: string, layers: readonly TemplatePlan[], address: PostgresAddress): Promise<void> {
    if (this.#verified.has(name)) {
      return build(layers, address)
    }
    const { report, clock } = this.#options
    const beganMs = clock.now()
    const before = await withPostgres(address, listOutside)
    await build(layers, address)
    const after = await withPostgres(address, listOutside)
    const outside = after.filter((object) => !before.includes(object))
    if (outside.length > 0) {
      throw madeOutside(name, outside)
    }
    this.#verified.add(name)
    report({ type: 'template-ready', template: name, isNew: true, elapsedMs: clock.now() - beganMs })
  }
}

async function build(layers: readonly TemplatePlan[], address: PostgresAddress): Promise<void> {
  for (const layer of layers) {
    await layer.build(address)
  }
}

function madeOutside(template: string, objects: readonly string[]): InfraError {
  const named = objects.slice(0, MAX_OBJECTS_NAMED)
  const more = objects.length - named.length
  return new InfraError('INFRA_SEED_FAILED', {
    problem: `Cannot use template "${template}" in a schema: its migrations or seeds created ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}, which all schemas would share`,
    remedy:
      'Name no schema and create no extension in them, and drop these objects by hand; or grant the role CREATEDB',
    service: 'postgres',
    provider: 'external',
  })
}
