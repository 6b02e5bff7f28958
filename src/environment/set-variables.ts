/** With these, libpq connects to another server than `PGHOST` names. */
const OVERRIDING = ['PGHOSTADDR', 'PGSERVICE']

/** The names that {@link setVariables} changes. */
export function namesSet(variables: Readonly<Record<string, string>>): string[] {
  return [...Object.keys(variables), ...('PGHOST' in variables ? OVERRIDING : [])]
}

/** Puts variables into an environment. Where `PGHOST` is one of them, what would override it is removed. */
export function setVariables(
  target: Record<string, string | undefined>,
  variables: Readonly<Record<string, string>>,
): void {
  for (const name of namesSet(variables)) {
    const value = variables[name]
    if (value === undefined) {
      delete target[name]
    } else {
      target[name] = value
    }
  }
}
