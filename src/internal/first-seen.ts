/** Remembers texts, so that a run reports each only once. */
export class FirstSeen {
  readonly #seen = new Set<string>()

  /** Whether the text is new; remembers it. */
  is(text: string): boolean {
    const isFirst = !this.#seen.has(text)
    this.#seen.add(text)
    return isFirst
  }
}
