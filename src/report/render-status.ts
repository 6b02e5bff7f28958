import { styleText } from 'node:util'
import type { ServiceState } from '../config/service-state.ts'

/** Status of a service, as observed from outside its run. */
export interface ServiceStatus {
  readonly service: string
  readonly state: ServiceState
  /** The image; undefined if unknown. */
  readonly image?: string
  /** The address; undefined if the service is not running, like the following optional fields. */
  readonly address?: string
  readonly provider: string
  /** Start time in ISO 8601. */
  readonly since?: string
  readonly container?: string
  /** The engine's latest healthchecks, the oldest first. */
  readonly healthchecks: readonly { readonly at: string; readonly passed: boolean; readonly output: string }[]
}

export interface RenderStatusOptions {
  readonly nowMs: number
  /** The destination of the text, which determines whether the text is coloured. */
  readonly stream: NodeJS.WriteStream
}

const HEADINGS = ['SERVICE', 'STATE', 'IMAGE', 'ADDRESS', 'PROVIDER', 'SINCE', 'HEALTHCHECKS']
const STATE_COLUMN = 1
const COLOURS = { healthy: 'green', degraded: 'yellow', starting: 'cyan', unhealthy: 'red', stopped: 'dim' } as const

/** Renders a table, followed by the output of the last failed healthcheck of each service. */
export function renderStatus(statuses: readonly ServiceStatus[], options: RenderStatusOptions): string {
  const rows = [HEADINGS, ...statuses.map((status) => cellsOf(status, options.nowMs))]
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map((row, index) => {
    const state = statuses[index - 1]?.state
    const cells = row.map((cell, column) => {
      const padded = cell.padEnd(widths[column] ?? 0)
      return state && column === STATE_COLUMN ? styleText(COLOURS[state], padded, options) : padded
    })
    return cells.join('  ').trimEnd()
  })
  return [...lines, ...statuses.flatMap(describeFailure)].map((line) => `${line}\n`).join('')
}

function cellsOf({ service, state, image, address, provider, since, healthchecks }: ServiceStatus, nowMs: number) {
  const checks = healthchecks.map(({ passed }) => (passed ? '✓' : '✗')).join('')
  const age = since === undefined ? '-' : `${renderAge(nowMs - Date.parse(since))} ago`
  return [service, state, image ?? '-', address ?? '-', provider, age, checks || '-']
}

function describeFailure({ service, healthchecks }: ServiceStatus): string[] {
  const failed = healthchecks.findLast(({ passed }) => !passed)
  return failed ? [`${service}: failed at ${failed.at}: ${failed.output.split('\n')[0] || 'no output'}`] : []
}

/** Renders a duration in its largest unit. */
function renderAge(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
  ] as const
  const [unit, size] = units.find(([, unitMs]) => ms >= unitMs) ?? ['s', 1_000]
  return `${Math.max(0, Math.floor(ms / size))} ${unit}`
}
