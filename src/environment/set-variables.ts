/** Variables that make libpq ignore `PGHOST`. */
const OVERRIDING = ['PGHOSTADDR', 'PGSERVICE']

/** The names that {@link setVariables} changes. */
export function namesSet(variables: Readonly<Record<string, string>>): string[] {
  return [...Object.keys(variables), ...('PGHOST' in variables ? OVERRIDING : [])]
}

/** Sets variables in an environment. If `PGHOST` is one of them, removes the variables that would override it. */
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
