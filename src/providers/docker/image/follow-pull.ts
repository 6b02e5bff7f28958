import type { Clock } from '../../../internal/clock.ts'
import type { PullProgress } from '../../../report/events.ts'
import { foldPullProgress, type PullEvent, type PullState, totalPullProgress } from './fold-pull-progress.ts'

const REPORT_INTERVAL_MS = 100

export interface FollowPullOptions {
  readonly image: string
  readonly onProgress: (progress: PullProgress) => void
  readonly clock: Clock
}

/**
 * Reads a pull's stream to its end, which is also the end of the pull, and reports at most ten times a second how far it
 * has come. Dockerode's `followProgress()` takes an error in the stream, and a stream that breaks off, for success.
 */
export async function followPull(stream: NodeJS.ReadableStream, options: FollowPullOptions): Promise<void> {
  const { image, onProgress, clock } = options
  let state: PullState = new Map()
  let dueAt = clock.now()
  for await (const event of readEvents(stream)) {
    throwReason(event)
    state = foldPullProgress(state, event)
    if (state.size > 0 && clock.now() >= dueAt) {
      onProgress(totalPullProgress(image, state))
      dueAt = clock.now() + REPORT_INTERVAL_MS
    }
  }
  onProgress(totalPullProgress(image, state))
}

async function* readEvents(stream: NodeJS.ReadableStream): AsyncGenerator<PullEvent> {
  let rest = ''
  for await (const chunk of stream.setEncoding('utf8')) {
    const lines = `${rest}${String(chunk)}`.split('\n')
    rest = lines.pop() ?? ''
    yield* lines.flatMap(parseLine)
  }
  yield* parseLine(rest)
}

function parseLine(line: string): PullEvent[] {
  return line.trim() === '' ? [] : [JSON.parse(line)]
}

function throwReason({ error, errorDetail }: PullEvent): void {
  const reason = errorDetail?.message ?? error
  if (reason !== undefined) {
    throw new Error(reason)
  }
}
