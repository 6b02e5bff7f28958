import type { Client } from 'pg'

/** The schema `public` with its attributes. */
export interface PublicSchema {
  readonly oid: string
  /** SQL statements that restore owner, comment and privileges of a recreated schema. */
  readonly statements: string
}

/** Reads the schema `public`; resolves to undefined if it does not exist. */
export async function readPublicSchema(client: Client): Promise<PublicSchema | undefined> {
  const { rows } = await client.query<PublicSchema>(SELECT_PUBLIC)
  return rows[0]
}

/**
 * Restores owner, comment and privileges of the schema `public` if a test has dropped and recreated it.
 *
 * @returns whether the schema was recreated
 */
export async function restorePublicSchema(client: Client, wanted: PublicSchema | undefined): Promise<boolean> {
  const present = await readPublicSchema(client)
  const isRecreated = present !== undefined && wanted !== undefined && present.oid !== wanted.oid
  if (isRecreated) {
    await client.query(wanted.statements)
  }
  return isRecreated
}

const SELECT_PUBLIC = `
  SELECT oid::text AS oid, concat_ws('; ', format('ALTER SCHEMA public OWNER TO %I', pg_get_userbyid(nspowner)),
    format('COMMENT ON SCHEMA public IS %L', obj_description(oid, 'pg_namespace')), 'REVOKE ALL ON SCHEMA public FROM PUBLIC',
    (SELECT string_agg(format('GRANT %s ON SCHEMA public TO %s', privilege_type,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END), '; ')
      FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))))) AS statements
  FROM pg_namespace WHERE nspname = 'public'`
