import { resolveExternalCustom } from './external-servers.ts'
import type { CustomServiceOptions, InfraOptions } from './infra-options.ts'
import { HEALTHCHECK_TIMES, type InfraService, variablePrefix } from './infra-service.ts'
import { type ResolvedService, resolveService, type Settle } from './resolve-service.ts'

/** A service of the user's own. */
export interface ResolvedCustom extends ResolvedService {
  /** The server that is there already, with the provider `'external'`. */
  readonly server: { readonly host: string; readonly port: number } | undefined
  /** Of the server itself. */
  readonly environment: Readonly<Record<string, string>>
  /** What is run in place of the image's command; none: that. */
  readonly command: readonly string[]
  readonly env: CustomServiceOptions['env']
}

/** Those that the options describe; `false` leaves one out. */
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
