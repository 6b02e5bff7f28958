import type { Client } from 'pg'
import { readBatches } from './copy-rows.ts'
import type { OpenPristine } from './reset-client.ts'
import { countRows, type RowCount, type Since } from './rows-written.ts'

const PAGE_BYTES = 2_048

export function countLargeObjects(client: Client, since: Since): Promise<readonly RowCount[]> {
  return countRows(client, ['pg_largeobject_metadata', 'pg_largeobject'], since)
}

export interface WantedLargeObjects {
  /** Row counts in the template. */
  readonly counts: readonly RowCount[]
  readonly openPristine: OpenPristine
  readonly since: Since
}

/** If any large object was written, replaces all large objects with those of the template. */
export async function restoreLargeObjects(client: Client, wanted: WantedLargeObjects): Promise<void> {
  const { counts, openPristine, since } = wanted
  const found = await countLargeObjects(client, since)
  if (found.every(({ rows, written }, index) => rows === counts[index]?.rows && written === 0)) {
    return
  }
  await client.query('SELECT count(lo_unlink(oid)) FROM pg_largeobject_metadata')
  if (counts.some(({ rows }) => rows > 0)) {
    await openPristine((source) => copyLargeObjects(source, client))
  }
}

async function copyLargeObjects(from: Client, to: Client): Promise<void> {
  for await (const rows of readBatches(from, 'SELECT oid FROM pg_largeobject_metadata')) {
    await to.query('SELECT count(lo_create(oid)) FROM unnest($1::oid[]) AS oid', [rows.flat()])
  }
  for await (const rows of readBatches(from, 'SELECT loid, pageno, data FROM pg_largeobject')) {
    await to.query(
      `SELECT count(lo_put(oid, page::int8 * ${PAGE_BYTES}, data))
       FROM unnest($1::oid[], $2::int4[], $3::bytea[]) AS page (oid, page, data)`,
      [0, 1, 2].map((column) => rows.map((row) => row[column])),
    )
  }
  const { rows } = await from.query<{ statements: string | null }>(SELECT_ATTRIBUTES)
  await to.query(rows.flatMap(({ statements }) => statements ?? []).join('; '))
}

/** Selects statements that set owners, comments and non-default privileges. */
const SELECT_ATTRIBUTES = `
  SELECT concat_ws('; ', format('ALTER LARGE OBJECT %s OWNER TO %I', oid, pg_get_userbyid(lomowner)),
    format('COMMENT ON LARGE OBJECT %s IS %L', oid, obj_description(oid, 'pg_largeobject')),
    CASE WHEN lomacl IS NOT NULL THEN format('REVOKE ALL ON LARGE OBJECT %s FROM %I', oid, pg_get_userbyid(lomowner)) END,
    (SELECT string_agg(format('GRANT %s ON LARGE OBJECT %s TO %s', privilege_type, m.oid,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
        || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, '; ' ORDER BY place)
      FROM aclexplode(lomacl) WITH ORDINALITY AS item (grantor, grantee, privilege_type, is_grantable, place))
  ) AS statements
  FROM pg_largeobject_metadata AS m`
