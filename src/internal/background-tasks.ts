/**
 * Tracks background tasks, so that {@link settle} can await them. Tasks must handle their own errors; otherwise a
 * rejection is unhandled.
 */
export class BackgroundTasks {
  readonly #running = new Set<Promise<void>>()

  add(task: Promise<void>): void {
    const running: Promise<void> = task.finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Resolves when no task is running. Also waits for tasks that are added meanwhile. */
  async settle(): Promise<void> {
    while (this.#running.size > 0) {
      await Promise.all(this.#running)
    }
  }
}
