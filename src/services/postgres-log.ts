/** Prefixes every line with its time and process and, for sessions, with the name of the database. */
export const LOG_LINE_PREFIX = '%m [%p] %q%d '

/** An entry of the server's log, of one or more lines. */
export interface LogEntry {
  /** Undefined if the entry is not from a session, or if the prefix does not contain the database. */
  readonly database: string | undefined
  /** The server's time, in Unix milliseconds; undefined unless the prefix contains it in UTC. */
  readonly atMs: number | undefined
  /** The lines without the prefix. */
  readonly lines: readonly string[]
}

/** The escapes of log_line_prefix that are parsed. The values of all others are skipped. */
const ESCAPES: Readonly<Record<string, string>> = {
  m: '(?<time>\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\.\\d{3}) (?<zone>\\S+)',
  p: '\\d+',
  d: '(?<database>.+?)',
  q: '',
  '%': '%',
}

/** Returns a parser for logs whose lines begin with `prefix`, PostgreSQL's `log_line_prefix`. */
export function createLogParser(prefix: string): (log: string) => readonly LogEntry[] {
  const pattern = linePattern(prefix)
  return (log) => {
    const entries: (LogEntry & { lines: string[] })[] = []
    for (const line of log.split('\n')) {
      const { text, database, time, zone } = pattern.exec(line)?.groups ?? {}
      if (line.startsWith('\t')) {
        // PostgreSQL indents the continuation lines of an entry with a tab.
        entries.at(-1)?.lines.push(line)
      } else if (line !== '') {
        entries.push({ database, atMs: parseTime(time, zone), lines: [text ?? line] })
      }
    }
    return entries
  }
}

function linePattern(prefix: string): RegExp {
  const read = new Set<string>()
  const source = prefix.replace(/%(-?\d*)([a-z%])|[\\^$.*+?()[\]{}|]/gi, (whole, padding?: string, escape?: string) => {
    if (escape === undefined) {
      return `\\${whole}`
    }
    // A group name may occur only once in a pattern.
    const part = read.has(escape) ? '.*?' : (ESCAPES[escape] ?? '.*?')
    read.add(escape)
    return padding ? ` *${part} *` : part
  })
  // A colon and two spaces follow the severity, which is in the server's language.
  return new RegExp(`^${source}(?<text>[\\p{L}\\d]+: {2}.*)$`, 'u')
}

function parseTime(time: string | undefined, zone: string | undefined): number | undefined {
  return time !== undefined && (zone === 'UTC' || zone === 'GMT') ? Date.parse(`${time.replace(' ', 'T')}Z`) : undefined
}
