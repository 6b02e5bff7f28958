import type { Clock } from '../../../internal/clock.ts'
import type { PullProgress } from '../../../report/events.ts'
import { readJsonLines } from '../engine/json-lines.ts'
import { foldPullProgress, type PullEvent, type PullState, totalPullProgress } from './fold-pull-progress.ts'

const REPORT_INTERVAL_MS = 100

export interface FollowPullOptions {
  readonly image: string
  readonly onProgress: (progress: PullProgress) => void
  readonly clock: Clock
}

/**
 * Reads the stream of a pull to its end, which is also the end of the pull. Reports the progress at most ten times a
 * second.
 *
 * @throws if the stream reports an error or breaks off
 */
export async function followPull(stream: NodeJS.ReadableStream, options: FollowPullOptions): Promise<void> {
  const { image, onProgress, clock } = options
  let state: PullState = new Map()
  let dueAt = clock.now()
  for await (const event of readJsonLines<PullEvent>(stream)) {
    throwReason(event)
    state = foldPullProgress(state, event)
    if (state.size > 0 && clock.now() >= dueAt) {
      onProgress(totalPullProgress(image, state))
      dueAt = clock.now() + REPORT_INTERVAL_MS
    }
  }
  onProgress(totalPullProgress(image, state))
}

function throwReason({ error, errorDetail }: PullEvent): void {
  const reason = errorDetail?.message ?? error
  if (reason !== undefined) {
    throw new Error(reason)
  }
}
