/** How a migration tool names and marks forward and backward migrations in SQL files. */
export interface SqlConvention {
  /** Whether a file name is that of a forward migration. */
  readonly isForward: (name: string) => boolean
  /** Orders forward migrations, if natural order of names is not enough. */
  readonly compare?: (left: string, right: string) => number
  /** Comments that begin the two sections of a file; `written` is the first one for messages. */
  readonly marks?: { readonly up: RegExp; readonly down: RegExp; readonly written: string }
}

export type SqlConventionName = keyof typeof SQL_CONVENTIONS

const FLYWAY_NAME = /^(?:V([0-9]+(?:[._][0-9]+)*)|R)__/

export const SQL_CONVENTIONS = {
  /** Every file except `*.down.sql`. */
  plain: { isForward: (name) => !/\.down\.sql$/i.test(name) },
  /** `1_users.up.sql` and `1_users.down.sql`; also for sqlx. */
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

/** Repeatable migrations have no version and come last. */
function versionOf(name: string): number[] {
  const version = FLYWAY_NAME.exec(name)?.[1]
  return version === undefined ? [Infinity] : version.split(/[._]/).map(Number)
}

/** Returns the forward section of a text, with its line numbers unchanged; `undefined` if the text has no mark. */
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
