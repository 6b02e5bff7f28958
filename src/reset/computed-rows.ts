import type { Client } from 'pg'
import { InfraError } from '../errors.ts'
import { selectEach } from './reset-client.ts'
import { type StoredRelation, WHOLE_ROW } from './stored-relations.ts'

/**
 * What the rows of relations are, in any order: of those that PostgreSQL computes itself, so that giving back what they
 * are computed from may not give them back.
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
    remedy: `${isView ? 'Refresh it at the end of your migrations or seeds, and let its query depend on rows alone' : 'Have the migration that replaces a function of a generated column compute the column again'}, or leave isolate at true, so that every file is given a database of its own`,
    service: 'postgres',
  })
}
