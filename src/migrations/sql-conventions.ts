/** How a tool's files of SQL say what brings the schema forward and what takes it back. */
export interface SqlConvention {
  /** Names of the files that bring it forward. */
  readonly isForward: (name: string) => boolean
  /** Orders those names, where natural order would not do. */
  readonly compare?: (left: string, right: string) => number
  /** Comments that stand before the two parts of a file, and how the first is written. */
  readonly marks?: { readonly up: RegExp; readonly down: RegExp; readonly written: string }
}

export type SqlConventionName = keyof typeof SQL_CONVENTIONS

const FLYWAY_NAME = /^(?:V([0-9]+(?:[._][0-9]+)*)|R)__/

export const SQL_CONVENTIONS = {
  /** Every file; what ends with `.down.sql` takes back. */
  plain: { isForward: (name) => !/\.down\.sql$/i.test(name) },
  /** `1_users.up.sql` next to `1_users.down.sql`; sqlx as well. */
  'golang-migrate': { isForward: (name) => /\.up\.sql$/i.test(name) },
  /** `-- migrate:up` and `-- migrate:down` in one file. */
  dbmate: {
    isForward: () => true,
    marks: { up: /^--\s*migrate:up\b/im, down: /^--\s*migrate:down\b/im, written: '-- migrate:up' },
  },
  /** `-- +goose Up` and `-- +goose Down` in one file. */
  goose: {
    isForward: () => true,
    marks: { up: /^--\s*\+goose\s+up\b/im, down: /^--\s*\+goose\s+down\b/im, written: '-- +goose Up' },
  },
  /** `V1.2__users.sql` by version, then `R__views.sql` by name. */
  flyway: { isForward: (name) => FLYWAY_NAME.test(name), compare: compareFlyway },
} as const satisfies Record<string, SqlConvention>

function compareFlyway(left: string, right: string): number {
  const [leftVersion, rightVersion] = [versionOf(left), versionOf(right)]
  for (const [index, part] of leftVersion.entries()) {
    const other = rightVersion[index] ?? 0
    if (part !== other) {
      return part - other
    }
  }
  return leftVersion.length - rightVersion.length || (left < right ? -1 : 1)
}

/** Repeatable ones have none and come last. */
function versionOf(name: string): number[] {
  const version = FLYWAY_NAME.exec(name)?.[1]
  return version === undefined ? [Infinity] : version.split(/[._]/).map(Number)
}

/**
 * The part of a text that brings the schema forward, on the lines that it has in the file; `undefined` where no mark
 * says which part that is.
 */
export function forwardPartOf(text: string, { marks }: SqlConvention): string | undefined {
  if (marks === undefined) {
    return text
  }
  const up = marks.up.exec(text)
  if (up === null) {
    return undefined
  }
  const before = text.slice(0, up.index).replaceAll(/[^\n]/g, ' ')
  const rest = text.slice(up.index)
  return before + rest.slice(0, marks.down.exec(rest)?.index)
}
