/** A service and its version, which is unknown for the user's own services. */
export function versioned(service: string, version: string): string {
  return version === '' ? service : `${service} ${version}`
}
