import type { Layout } from './layout.ts'
import type { Report } from './report.ts'

/** What every part of the lab is handed: where things stand, how to say something, and when to give up. */
export interface Lab {
  readonly layout: Layout
  readonly report: Report
  readonly environment: Readonly<NodeJS.ProcessEnv>
  readonly signal: AbortSignal
}
