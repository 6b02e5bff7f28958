/** Remembers texts, so that a run reports each only once. */
export class FirstSeen {
  readonly #seen = new Set<string>()

  /** Returns true the first time that it gets a text, and false afterwards. */
  is(text: string): boolean {
    const isFirst = !this.#seen.has(text)
    this.#seen.add(text)
    return isFirst
  }
}
