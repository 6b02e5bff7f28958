import type { Row } from './rows.ts'

const HEAD = ['measured', 'contender', 'median', '95th percentile', 'compared, within each round']

/** As a README can quote it. */
export function renderTable(rows: readonly Row[]): string {
  const lines = rows.map((row, index) => [titleOf(row, rows[index - 1]), row.contender, ...figuresOf(row)])
  const widths = HEAD.map((head, column) => Math.max(head.length, ...lines.map((cells) => cells[column]?.length ?? 0)))
  const rule = widths.map((width, column) => (isFigure(column) ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width)))
  return [HEAD, rule, ...lines].map((cells) => `| ${cells.map(pad(widths)).join(' | ')} |`).join('\n')
}

function isFigure(column: number): boolean {
  return column === 2 || column === 3
}

function pad(widths: readonly number[]) {
  return (cell: string, column: number) =>
    isFigure(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)
}

/** Said once for the lines that it is about. */
function titleOf(row: Row, before: Row | undefined): string {
  return before && before.measure === row.measure && before.condition === row.condition
    ? ''
    : `${row.measure}, ${row.condition}`
}

function figuresOf({ unit, median, p95, compared }: Row): string[] {
  return [`${digits(median)} ${unit}`, `${digits(p95)} ${unit}`, compared ? describe(compared, unit) : '']
}

function describe({ to, as, value }: NonNullable<Row['compared']>, unit: string): string {
  return as === 'ratio'
    ? `${digits(value)} × ${to}`
    : `${value < 0 ? '−' : '+'}${digits(Math.abs(value))} ${unit} to ${to}`
}

/** Two significant digits at least. */
function digits(value: number): string {
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : value >= 0.1 ? 2 : 3)
}
