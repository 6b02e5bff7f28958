import type { Client } from 'pg'
import { InfraError } from '../errors.ts'
import { selectEach } from './reset-client.ts'
import { type StoredRelation, WHOLE_ROW } from './stored-relations.ts'

/**
 * Returns a digest of each relation's rows that does not depend on their order. PostgreSQL computes the rows of some
 * relations, and restoring their inputs may not restore these rows.
 */
export async function digestRows(client: Client, relations: readonly StoredRelation[]): Promise<readonly string[]> {
  const digests = await selectEach<{ digest: string }>(
    client,
    relations.map(
      ({ name }) =>
        `SELECT concat_ws(' ', count(*), sum(hashtextextended(${WHOLE_ROW}, 0))) AS digest FROM ONLY ${name} AS t`,
    ),
  )
  return digests.flat().map(({ digest }) => digest)
}

export function computedDifferently(database: string, { kind, name }: StoredRelation): InfraError {
  const isView = kind === 'materialized view'
  return new InfraError('INFRA_LEASE_FAILED', {
    problem: `Cannot reset database "${database}" for the next test file: ${kind} ${name} has other rows than in the template, now that ${isView ? 'it is refreshed' : 'its generated columns are computed again'}`,
    remedy: `${isView ? 'Refresh it at the end of your migrations or seeds, and let its query depend on rows alone' : 'Have the migration that replaces a function of a generated column compute the column again'}, or leave isolate at true, so that every file gets a new database`,
    service: 'postgres',
  })
}
