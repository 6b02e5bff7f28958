import type { PostgresAddress } from '../../environment/variable-set.ts'
import { type CatalogState, readCatalogs } from './catalog-state.ts'
import { type ForeignKey, readForeignKeys } from './foreign-keys.ts'
import { countLargeObjects } from './large-objects.ts'
import { readPlannerStatistics, type StatisticsByKey } from './planner-statistics.ts'
import { type OpenPristine, withResetClient } from './reset-client.ts'
import type { RowCount, Since } from './rows-written.ts'
import { readSchemaObjects, type SchemaObjects } from './schema-objects.ts'
import { readSequences, type SequenceState } from './sequences.ts'
import { readRelations, type StoredRelation } from './stored-relations.ts'

/** What a database holds that nobody has written to since it was cloned. */
export interface TemplateContent {
  /** From when on what is found in another clone was written by somebody. */
  readonly since: Since
  readonly catalogs: CatalogState
  readonly relations: readonly StoredRelation[]
  readonly foreignKeys: readonly ForeignKey[]
  readonly sequences: readonly SequenceState[]
  readonly largeObjects: readonly RowCount[]
  readonly statistics: StatisticsByKey
}

/** A clone of a template that nobody but us knows, so that it tells what the template holds. */
export class PristineCopy {
  readonly content: TemplateContent
  readonly open: OpenPristine
  #objects: Promise<SchemaObjects> | undefined

  private constructor(content: TemplateContent, open: OpenPristine) {
    this.content = content
    this.open = open
  }

  /** Reads a clone of `template`. */
  static async read(address: PostgresAddress, template: string): Promise<PristineCopy> {
    const open: OpenPristine = (work) => withResetClient(address, { lockTimeoutMs: 0 }, work)
    const content = await open(async (client) => {
      const { rows } = await client.query<{ from: string }>(
        // The template was sealed by this transaction, its content is older, and every use of a clone is younger.
        'SELECT xmin::text AS "from" FROM pg_database WHERE datname = $1',
        [template],
      )
      const since: Since = { from: rows[0]?.from ?? '0', own: '0' }
      return {
        since,
        catalogs: await readCatalogs(client, since),
        relations: await readRelations(client, since),
        foreignKeys: await readForeignKeys(client),
        sequences: await readSequences(client),
        largeObjects: await countLargeObjects(client, since),
        statistics: await readPlannerStatistics(client, since),
      }
    })
    return new PristineCopy(content, open)
  }

  /** Everything that makes up the schema; read when it is needed, which is seldom. */
  objects(): Promise<SchemaObjects> {
    this.#objects ??= this.open(readSchemaObjects)
    return this.#objects
  }
}
