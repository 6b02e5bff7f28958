/** Returns a service with its version, which is empty for a custom service. */
export function versioned(service: string, version: string): string {
  return version === '' ? service : `${service} ${version}`
}
