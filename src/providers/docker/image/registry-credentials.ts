import { messageOf } from '../../../errors.ts'

export interface RegistryCredentials {
  /** In the form in which dockerode takes them; undefined for an anonymous pull. */
  readonly authconfig: object | undefined
  /** Why there are none, if something is wrong. */
  readonly problem?: string
}

/**
 * What Testcontainers would send to a registry: from credential helpers, a credentials store or config.json. It does not
 * export that lookup, so it is imported by its path; a public image can be pulled without it.
 */
export async function readRegistryCredentials(registry: string): Promise<RegistryCredentials> {
  try {
    const { getAuthConfig } = await import('testcontainers/build/container-runtime/auth/get-auth-config.js')
    return { authconfig: await getAuthConfig(registry) }
  } catch (error) {
    const problem = `It was tried without credentials, because those of the registry cannot be read: ${messageOf(error)}`
    return { authconfig: undefined, problem }
  }
}
