import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../../../src/internal/clock.ts'

/** A clock that only advances when code waits, or when the test advances it. */
export class FakeClock implements Clock {
  #nowMs = 0

  now(): number {
    return this.#nowMs
  }

  advance(ms: number): void {
    this.#nowMs += ms
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    this.advance(ms)
    // Work that needs no time completes before time advances.
    await setImmediate()
    signal?.throwIfAborted()
  }
}
