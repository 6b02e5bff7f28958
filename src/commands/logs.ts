import { finished } from 'node:stream/promises'
import { redact } from '../internal/redact.ts'
import { onLines } from '../providers/docker/engine/demultiplex.ts'
import type { RunningService } from '../providers/docker/reuse/running-services.ts'
import type { Host } from './command.ts'
import { findStack, type FoundStack } from './find-stack.ts'

export interface LogsOptions {
  /**
   * Name of the service whose log is printed.
   *
   * @default all services
   */
  readonly service: string | undefined
  /** Whether to follow the log until the server exits. */
  readonly follow: boolean
}

/**
 * Prints the logs of the running services without passwords. If there are several services, each line begins with the
 * service's name.
 */
export async function logs(host: Host, { service, follow }: LogsOptions): Promise<void> {
  const stack = await findStack(host, service)
  const width = Math.max(...stack.services.map(({ name }) => name.length))
  const print = ({ name }: RunningService) => {
    const prefix = service === undefined ? `${name.padEnd(width)} | ` : ''
    const { user, password } = stack.spec.postgres ?? { user: undefined, password: undefined }
    return (line: string) => void host.stdout.write(`${prefix}${redact(line, { user, password })}\n`)
  }
  if (follow) {
    await Promise.all(stack.services.map((found) => followLog(stack, found, print(found))))
    return
  }
  for (const found of stack.services) {
    const log = await stack.api.readLog(found.details.Id, { count: 'all' })
    log.replace(/\n$/, '').split('\n').forEach(print(found))
  }
}

async function followLog(
  { api }: FoundStack,
  { details }: RunningService,
  print: (line: string) => void,
): Promise<void> {
  const log = await api.followLog(details.Id)
  onLines(log, print)
  // A broken connection is an error, not the end of the log.
  await finished(log)
}
