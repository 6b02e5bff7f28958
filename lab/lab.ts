import type { Layout } from './layout.ts'
import type { Report } from './report.ts'

/** The context of all functions of the lab: its paths, its reporter, and the signal that aborts it. */
export interface Lab {
  readonly layout: Layout
  readonly report: Report
  readonly environment: Readonly<NodeJS.ProcessEnv>
  readonly signal: AbortSignal
}
