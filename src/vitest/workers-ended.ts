import type { Vitest } from 'vitest/node'
import type { Clock } from '../internal/clock.ts'

const POLL_MS = 10

/**
 * Resolves when all workers of a closing Vitest have exited, including their fixtures. Vitest 5 calls its close
 * handlers only after that. Vitest 4 calls them earlier, and removes its pool once the workers have exited.
 */
export async function workersEnded(vitest: Vitest, clock: Clock): Promise<void> {
  const deadlineMs = clock.now() + vitest.config.teardownTimeout
  while (vitest['pool'] !== undefined && clock.now() < deadlineMs) {
    await clock.sleep(POLL_MS)
  }
}
