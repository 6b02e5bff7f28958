import { IS_OF_SCHEMA } from './catalog-state.ts'

/** How a catalog's rows, as `c`, are told apart and what they come to; names, not oids, so that one made anew is the same. */
interface Definition {
  readonly key: string
  /** What it comes to, without privileges, statistics and where it is stored; in SQL, separated by commas. */
  readonly values: string
  readonly where?: string
  /** What the row describes, where that is not an object with an oid of its own. */
  readonly class?: string
  readonly object?: string
  readonly part?: string
}

const OF_USERS = 'c.oid >= 16384'
const HAS_COLUMNS = `(SELECT relkind IN ('r', 'p', 'v', 'm', 'f', 'c') FROM pg_class WHERE oid = attrelid)`

const DEFINITIONS: Readonly<Record<string, Definition>> = {
  // Tests like to drop and create the schema "public", which is older than its database.
  pg_namespace: { key: 'nspname', where: `nspname !~ '^pg_'`, values: '' },
  pg_extension: { key: 'extname', values: 'extversion' },
  pg_class: {
    key: 'oid::regclass',
    where: IS_OF_SCHEMA,
    values: `relkind, relpersistence, relowner::regrole, relrowsecurity, relforcerowsecurity, relreplident,
      pg_get_expr(relpartbound, oid), CASE WHEN relkind = 'p' THEN pg_get_partkeydef(oid) END,
      CASE WHEN relkind = 'i' THEN pg_get_indexdef(oid) WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END,
      (SELECT string_agg(inhparent::regclass::text, ',' ORDER BY inhseqno) FROM pg_inherits WHERE inhrelid = c.oid)`,
  },
  pg_attribute: {
    key: `attrelid::regclass || '.' || attname`,
    class: 'pg_class',
    object: 'attrelid',
    part: 'attnum',
    where: `attrelid >= 16384 AND attnum > 0 AND NOT attisdropped AND ${HAS_COLUMNS}`,
    // By its place among the columns that are there: a number is never used again.
    values: `row_number() OVER (PARTITION BY attrelid ORDER BY attnum), format_type(atttypid, atttypmod),
      attcollation::regcollation, attnotnull, attidentity, attgenerated,
      (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = attrelid AND adnum = attnum)`,
  },
  pg_constraint: {
    key: `concat_ws(' ', nullif(conrelid, 0)::regclass, nullif(contypid, 0)::regtype, conname)`,
    values: 'pg_get_constraintdef(oid), convalidated',
  },
  pg_trigger: {
    // Those that stand behind a foreign key are named after an oid.
    key: `concat_ws(' ', tgrelid::regclass, CASE WHEN tgisinternal THEN concat_ws(' ', nullif(tgconstrrelid, 0)::regclass,
      (SELECT conname FROM pg_constraint WHERE oid = tgconstraint), tgfoid::regproc) ELSE tgname END)`,
    values: 'tgenabled, CASE WHEN NOT tgisinternal THEN pg_get_triggerdef(oid) END',
  },
  pg_rewrite: { key: `ev_class::regclass || ' ' || rulename`, values: 'ev_enabled, pg_get_ruledef(oid)' },
  pg_policy: {
    key: `polrelid::regclass || ' ' || polname`,
    values: `polcmd, polpermissive, polroles::regrole[], pg_get_expr(polqual, polrelid),
      pg_get_expr(polwithcheck, polrelid)`,
  },
  pg_proc: {
    key: 'oid::regprocedure',
    values: `prokind, proowner::regrole, CASE WHEN prokind <> 'a' THEN pg_get_functiondef(oid) END,
      (SELECT concat_ws(' ', aggtransfn, aggfinalfn, agginitval) FROM pg_aggregate WHERE aggfnoid = c.oid)`,
  },
  pg_type: {
    key: 'oid::regtype',
    values: `typtype, typnotnull, typdefault, format_type(typbasetype, typtypmod),
      (SELECT string_agg(quote_literal(enumlabel), ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = c.oid)`,
  },
  pg_sequence: {
    key: 'seqrelid::regclass',
    class: 'pg_class',
    object: 'seqrelid',
    where: 'seqrelid >= 16384',
    values: 'seqtypid::regtype, seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle',
  },
  pg_publication: { key: 'pubname', values: 'puballtables, pubinsert, pubupdate, pubdelete, pubtruncate' },
  pg_event_trigger: { key: 'evtname', values: 'evtevent, evtfoid::regproc, evtenabled, evttags' },
}

/** Selects key, address and digest of everything that makes up a schema. */
export function selectSchema(): string {
  return Object.entries(DEFINITIONS)
    .map(([catalog, definition]) => selectFrom(catalog, definition))
    .join(' UNION ALL ')
}

function selectFrom(catalog: string, { key, values, where = OF_USERS, ...by }: Definition): string {
  const address = `'${by.class ?? catalog}'::regclass::oid AS class, ${by.object ?? 'oid'} AS object, ${by.part ?? 0} AS part`
  const definition = `hashtextextended(jsonb_build_array(${values})::text, 0)::text AS definition`
  return `SELECT '${catalog} ' || (${key})::text AS key, ${address}, ${definition} FROM ${catalog} AS c WHERE ${where}`
}
