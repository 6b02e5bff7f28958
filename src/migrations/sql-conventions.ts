/** The names and marks by which a migration tool distinguishes forward and backward migrations in SQL files. */
export interface SqlConvention {
  /** Whether a file name belongs to a forward migration. */
  readonly isForward: (name: string) => boolean
  /** Compares two forward migrations for sorting; by default, names are sorted in natural order. */
  readonly compare?: (left: string, right: string) => number
  /** The comments that begin the two sections of a file. `written` is the text of the first comment for messages. */
  readonly marks?: { readonly up: RegExp; readonly down: RegExp; readonly written: string }
}

export type SqlConventionName = keyof typeof SQL_CONVENTIONS

const FLYWAY_NAME = /^(?:V([0-9]+(?:[._][0-9]+)*)|R)__/

export const SQL_CONVENTIONS = {
  /** All files except `*.down.sql`. */
  plain: { isForward: (name) => !/\.down\.sql$/i.test(name) },
  /** Pairs of files: `1_users.up.sql` and `1_users.down.sql`. sqlx uses this convention too. */
  'golang-migrate': { isForward: (name) => /\.up\.sql$/i.test(name) },
  /** Sections of one file: `-- migrate:up` and `-- migrate:down`. */
  dbmate: {
    isForward: () => true,
    marks: { up: /^--\s*migrate:up\b/im, down: /^--\s*migrate:down\b/im, written: '-- migrate:up' },
  },
  /** Sections of one file: `-- +goose Up` and `-- +goose Down`. */
  goose: {
    isForward: () => true,
    marks: { up: /^--\s*\+goose\s+up\b/im, down: /^--\s*\+goose\s+down\b/im, written: '-- +goose Up' },
  },
  /** Files like `V1.2__users.sql`, sorted by version, followed by files like `R__views.sql`, sorted by name. */
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

/** Returns the version of a migration. Repeatable migrations have no version and are sorted last. */
function versionOf(name: string): number[] {
  const version = FLYWAY_NAME.exec(name)?.[1]
  return version === undefined ? [Infinity] : version.split(/[._]/).map(Number)
}

/**
 * Returns the forward section of a text, with its line numbers unchanged. Returns `undefined` if the text has no mark.
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
