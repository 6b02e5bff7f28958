import type { PostgresAddress } from '../environment/variable-set.ts'
import { type AlwaysFired, readAlwaysFired } from './always-fired.ts'
import { type CatalogState, readCatalogs } from './catalog-state.ts'
import { type Catalog, readCatalogList } from './catalogs.ts'
import { digestRows } from './computed-rows.ts'
import { RowCopier } from './copy-rows.ts'
import { readStored, type StoredRow } from './definition-rows.ts'
import { type ForeignKey, readForeignKeys } from './foreign-keys.ts'
import { countLargeObjects } from './large-objects.ts'
import { type PlannerStatistics, readPlannerStatistics } from './planner-statistics.ts'
import { type PublicSchema, readPublicSchema } from './public-schema.ts'
import { type OpenPristine, withResetClient } from './reset-client.ts'
import type { RowCount, Since } from './rows-written.ts'
import { readSequences, type SequenceState } from './sequences.ts'
import { type Identities, readIdentities, readRelations, type StoredRelation } from './stored-relations.ts'

/** The content of an unused clone. */
export interface TemplateContent {
  /** Rows that were written after this point in another clone were written by the user of that clone. */
  readonly since: Since
  readonly catalogs: readonly Catalog[]
  readonly state: CatalogState
  readonly publicSchema: PublicSchema | undefined
  readonly relations: readonly StoredRelation[]
  readonly identities: Identities
  readonly foreignKeys: readonly ForeignKey[]
  readonly alwaysFired: readonly AlwaysFired[]
  readonly sequences: readonly SequenceState[]
  readonly largeObjects: readonly RowCount[]
  readonly statistics: PlannerStatistics
}

type StoredRows = ReadonlyMap<string, StoredRow>

/** A clone of a template that is never leased and thus equals the template. */
export class PristineCopy {
  readonly content: TemplateContent
  readonly open: OpenPristine
  readonly rows: RowCopier
  readonly #stored = new Map<string, Promise<StoredRows>>()

  private constructor(content: TemplateContent, open: OpenPristine) {
    this.content = content
    this.open = open
    this.rows = new RowCopier(open)
  }

  /** Reads the content of an unused clone of `template`. */
  static async read(address: PostgresAddress, template: string): Promise<PristineCopy> {
    const open: OpenPristine = (work) => withResetClient(address, { lockTimeoutMs: 0 }, work)
    const content = await open(async (client) => {
      const { rows } = await client.query<{ from: string }>(
        // The transaction that sealed the template is later than the template's content and earlier than any use of a
        // clone.
        'SELECT xmin::text AS "from" FROM pg_database WHERE datname = $1',
        [template],
      )
      const since: Since = { from: rows[0]?.from ?? '0', own: '0' }
      const catalogs = await readCatalogList(client)
      const relations = await readRelations(client, since)
      return {
        since,
        catalogs,
        state: await readCatalogs(client, catalogs, since),
        publicSchema: await readPublicSchema(client),
        relations,
        identities: await readIdentities(client, relations),
        foreignKeys: await readForeignKeys(client),
        alwaysFired: await readAlwaysFired(client),
        sequences: await readSequences(client),
        largeObjects: await countLargeObjects(client, since),
        statistics: await readPlannerStatistics(client, since),
      }
    })
    return new PristineCopy(content, open)
  }

  /** Runs {@link digestRows} on this copy. */
  async digestRows(relations: readonly StoredRelation[]): Promise<readonly string[]> {
    return relations.length === 0 ? [] : this.open((client) => digestRows(client, relations))
  }

  /** Returns all rows of the catalogs. Each catalog is read once, when it is first needed. */
  async storedRows(catalogs: readonly Catalog[]): Promise<ReadonlyMap<string, StoredRows>> {
    const missing = catalogs.filter(({ name }) => !this.#stored.has(name))
    if (missing.length > 0) {
      const reading = this.open((client) => readStored(client, missing)).then((rows) =>
        Map.groupBy(rows, ({ catalog }) => catalog),
      )
      for (const { name } of missing) {
        const rows = reading.then((found) => new Map(found.get(name)?.map((row) => [row.key, row])))
        rows.catch(() => this.#stored.delete(name))
        this.#stored.set(name, rows)
      }
    }
    const found = await Promise.all(
      catalogs.map(async ({ name }) => [name, (await this.#stored.get(name)) ?? new Map<string, StoredRow>()] as const),
    )
    return new Map(found)
  }
}
