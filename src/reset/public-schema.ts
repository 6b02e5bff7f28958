import type { Client } from 'pg'

/** The schema `public` and what it was given. */
export interface PublicSchema {
  readonly oid: string
  /** They give all of it to a schema that was made anew. */
  readonly statements: string
}

/** Resolves to `undefined` if there is none. */
export async function readPublicSchema(client: Client): Promise<PublicSchema | undefined> {
  const { rows } = await client.query<PublicSchema>(SELECT_PUBLIC)
  return rows[0]
}

/**
 * Tests like to drop and create the schema `public`: it then lacks what the first one was given, and is given it here.
 *
 * @returns whether it was another one
 */
export async function restorePublicSchema(client: Client, wanted: PublicSchema | undefined): Promise<boolean> {
  const present = await readPublicSchema(client)
  const isAnother = present !== undefined && wanted !== undefined && present.oid !== wanted.oid
  if (isAnother) {
    await client.query(wanted.statements)
  }
  return isAnother
}

const SELECT_PUBLIC = `
  SELECT oid::text AS oid, concat_ws('; ', format('ALTER SCHEMA public OWNER TO %I', pg_get_userbyid(nspowner)),
    format('COMMENT ON SCHEMA public IS %L', obj_description(oid, 'pg_namespace')), 'REVOKE ALL ON SCHEMA public FROM PUBLIC',
    (SELECT string_agg(format('GRANT %s ON SCHEMA public TO %s', privilege_type,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END), '; ')
      FROM aclexplode(coalesce(nspacl, acldefault('n', nspowner))))) AS statements
  FROM pg_namespace WHERE nspname = 'public'`
