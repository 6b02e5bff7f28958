/** Work that nothing waits for until the end. A task that fails is an unhandled rejection, so tasks handle their errors. */
export class BackgroundTasks {
  readonly #running = new Set<Promise<void>>()

  add(task: Promise<void>): void {
    const running: Promise<void> = task.finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  /** Resolves when no task is running, those included that are added meanwhile. */
  async settle(): Promise<void> {
    while (this.#running.size > 0) {
      await Promise.all(this.#running)
    }
  }
}
