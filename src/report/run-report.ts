import type { EventOf, InfraEvent, Report } from './events.ts'
import { renderSummary } from './render-summary.ts'

export interface RunReportOptions {
  /** Receives urgent events immediately, and the other events at the end. */
  readonly report: Report
  /** Whether to summarise the run in a single line instead of one line for each topic. */
  readonly isShort: boolean
}

/** Holds back events that are not urgent, so that they do not interleave with Vitest's output. */
export class RunReport {
  readonly #options: RunReportOptions
  #facts: InfraEvent[] = []
  #logs: EventOf<'test-log'>[] = []
  #notices: InfraEvent[] = []

  constructor(options: RunReportOptions) {
    this.#options = options
  }

  readonly report: Report = (event) => {
    if (event.type === 'service-healthy' && event.origin === 'restart') {
      this.#options.report(event)
      return
    }
    switch (event.type) {
      case 'service-healthy':
      case 'seeds-loaded':
      case 'template-ready':
      case 'leases-summary':
        this.#facts.push(event)
        break
      case 'test-log':
        this.#logs.push(event)
        break
      case 'connections-left':
      case 'lease-unused':
      case 'main-shared':
      case 'service-unused':
      case 'clients-left':
      case 'objects-dropped':
      case 'statements-late':
      case 'server-replaced':
      case 'servers-left-running':
        this.#notices.push(event)
        break
      default:
        this.#options.report(event)
    }
  }

  /** Reports the log excerpts of failed tests. Call it before Vitest prints the errors of these tests. */
  reportLogs(): void {
    this.#logs.splice(0).forEach(this.#options.report)
  }

  /** Reports the notices that require action by the user. */
  reportNotices(): void {
    this.#notices.splice(0).forEach(this.#options.report)
  }

  /** Reports all remaining events. */
  close(): void {
    this.reportLogs()
    for (const line of renderSummary(this.#facts.splice(0), this.#options.isShort)) {
      this.#options.report({ type: 'summary', line })
    }
    this.reportNotices()
  }
}
