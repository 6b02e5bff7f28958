import { resolveExternalCustom } from './external-servers.ts'
import type { CustomServiceOptions, InfraOptions } from './infra-options.ts'
import { HEALTHCHECK_TIMES, type InfraService, variablePrefix } from './infra-service.ts'
import { type ResolvedService, resolveService, type Settle } from './resolve-service.ts'

/** A user-defined service, with variables and defaults applied. */
export interface ResolvedCustom extends ResolvedService {
  /** The address of the external server; undefined unless the provider is `'external'`. */
  readonly server: { readonly host: string; readonly port: number } | undefined
  /** Environment of the server process. */
  readonly environment: Readonly<Record<string, string>>
  /** The command to run instead of the image's default command; empty to use the default. */
  readonly command: readonly string[]
  readonly env: CustomServiceOptions['env']
}

/** Returns the user-defined services in the options, without those set to `false`. */
export function customServicesIn({
  services = {},
}: InfraOptions): readonly (readonly [string, CustomServiceOptions])[] {
  return Array.isArray(services)
    ? []
    : Object.entries(services).flatMap(([name, given]) => (given ? [[name, given] as const] : []))
}

export function resolveCustom(name: string, given: CustomServiceOptions, settle: Settle): ResolvedCustom {
  const { image, port, hostPort, healthcheck, labels, restart } = given
  const defaults: InfraService = {
    name,
    image,
    healthcheck: { ...HEALTHCHECK_TIMES, ...healthcheck },
    defaultPort: port,
    envPortVar: `${variablePrefix(name)}_PORT`,
    persistence: false,
    state: 'stopped',
  }
  const place = hostPort === undefined ? undefined : { option: `services.${name}.hostPort`, value: hostPort }
  const resolved = resolveService(defaults, { image, healthcheck, labels, restart, port: place }, settle)
  const { options, lookup, provider } = settle
  return {
    ...resolved,
    server:
      provider === 'external'
        ? resolveExternalCustom(resolved.service, { options: options.external ?? {}, lookup })
        : undefined,
    environment: { ...given.environment },
    command: [...(given.command ?? [])],
    env: given.env,
  }
}
