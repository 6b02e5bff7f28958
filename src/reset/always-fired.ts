import type { Client } from 'pg'

/** A trigger or rule that fires under every `session_replication_role`, and thus also while rows are restored. */
export interface AlwaysFired {
  /** The table, qualified and quoted; null for an event trigger. */
  readonly table: string | null
  readonly disable: string
  readonly enable: string
}

/** The catalogs store `ENABLE ALWAYS` as "A" and `ENABLE REPLICA` as "R". */
const ALWAYS_FIRED = `
  WITH fired AS (
    SELECT tgrelid AS relation, 'TRIGGER' AS kind, tgname AS name, tgenabled AS enabled FROM pg_trigger
    UNION ALL SELECT ev_class, 'RULE', rulename, ev_enabled FROM pg_rewrite
  ), of_tables AS (
    SELECT format('%I.%I', nspname, relname) AS "table", kind, name, enabled
    FROM fired JOIN pg_class c ON c.oid = relation JOIN pg_namespace n ON n.oid = relnamespace
    WHERE c.relkind = 'r' AND enabled IN ('A', 'R')
  )
  SELECT "table", format('ALTER TABLE ONLY %s DISABLE %s %I', "table", kind, name) AS disable,
    format('ALTER TABLE ONLY %s ENABLE %s %s %I', "table", mode, kind, name) AS enable
  FROM of_tables CROSS JOIN LATERAL (SELECT CASE enabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END AS mode) m
  UNION ALL SELECT NULL, format('ALTER EVENT TRIGGER %I DISABLE', evtname),
    format('ALTER EVENT TRIGGER %I ENABLE %s', evtname, CASE evtenabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END)
  FROM pg_event_trigger WHERE evtenabled IN ('A', 'R')`

export async function readAlwaysFired(client: Client): Promise<readonly AlwaysFired[]> {
  return (await client.query<AlwaysFired>(ALWAYS_FIRED)).rows
}
