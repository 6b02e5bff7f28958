import type { EventOf, InfraEvent, Report } from './events.ts'
import { renderSummary } from './render-summary.ts'

export interface RunReportOptions {
  /** Receives events that are printed at once, and at the end all others. */
  readonly report: Report
  /** Whether one line is to sum up a run; else there is one about each thing. */
  readonly isShort: boolean
}

/** Holds back what is not urgent, and prints it where Vitest's own lines leave room. */
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

  /** Excerpts of logs for failed tests, to be printed next to their errors. */
  tellLogs(): void {
    this.#logs.splice(0).forEach(this.#options.report)
  }

  /** What the user should act on. */
  tellNotices(): void {
    this.#notices.splice(0).forEach(this.#options.report)
  }

  /** All that has not been printed yet, at the very end. */
  close(): void {
    this.tellLogs()
    for (const line of renderSummary(this.#facts.splice(0), this.#options.isShort)) {
      this.#options.report({ type: 'summary', line })
    }
    this.tellNotices()
  }
}
