/** A service and its version; nobody knows that of the user's own. */
export function versioned(service: string, version: string): string {
  return version === '' ? service : `${service} ${version}`
}
