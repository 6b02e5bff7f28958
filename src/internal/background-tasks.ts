/** Tasks in the background, which {@link settle} awaits. They must handle their errors: a rejection is unhandled. */
export class BackgroundTasks {
  readonly #running = new Set<Promise<void>>()

  add(task: Promise<void>): void {
    const running: Promise<void> = task.finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Resolves when no task is running, including tasks that are added meanwhile. */
  async settle(): Promise<void> {
    while (this.#running.size > 0) {
      await Promise.all(this.#running)
    }
  }
}
