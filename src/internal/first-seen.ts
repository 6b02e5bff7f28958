/** Recognises what was seen before, so that a run reports each thing once. */
export class FirstSeen {
  readonly #seen = new Set<string>()

  /** Whether this is the first time. */
  is(text: string): boolean {
    const isFirst = !this.#seen.has(text)
    this.#seen.add(text)
    return isFirst
  }
}
