import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../../../src/internal/clock.ts'

/** Time that passes only where somebody waits, or where the test says so. */
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
    // Whatever needs no time is done before time has passed.
    await setImmediate()
    signal?.throwIfAborted()
  }
}
