import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { InfraError } from '../../errors.ts'
import { type ServiceDefinition, instancePortsOf } from '../../services/service.ts'
import { giveTo } from './account.ts'
import type { EmbeddedHome } from './embedded-home.ts'
import { EmbeddedService } from './embedded-service.ts'
import type { Supervisor, ChildProgram } from './supervisor.ts'
import { awaitListening, type LocalProgram, readLogTail } from './local-program.ts'
import { LocalInstance } from './local-instances.ts'

const PORT_ATTEMPTS = 5
const PORT_IN_USE = /address already in use|could not bind|could not create server tcp listening socket/i
const LOG_LINES = 40

export interface LaunchContext {
  readonly supervisor: Supervisor
  readonly home: EmbeddedHome
  readonly signal: AbortSignal
  /** Called once, when the service has stopped and its folder is removed. */
  readonly onStopped: () => Promise<void>
}

/** A launch whose program and folders are known. */
interface Launch extends LaunchContext {
  readonly definition: ServiceDefinition
  readonly program: LocalProgram
  readonly folder: string
  readonly data: string
  readonly log: string
}

interface Running {
  readonly port: number
  readonly server: ChildProgram
}

/** Starts a service's server as a local process. If the start fails, nothing of the server is left. */
export async function launchService(definition: ServiceDefinition, context: LaunchContext): Promise<EmbeddedService> {
  const { supervisor, home, onStopped } = context
  const { name } = definition.service
  const program = await describeProgram(definition, context)
  const folder = await mkdtemp(join(supervisor.folder, `${name}-`))
  const launch = { ...context, definition, program, folder, data: join(folder, 'data'), log: join(folder, 'log') }
  try {
    await giveTo(folder, program.account)
    const { port, server } = await startServer(launch)
    const ports = await supervisor.reservePorts(instancePortsOf(definition).length)
    const instances = ports.map(
      (instancePort) =>
        new LocalInstance({
          supervisor,
          program,
          definition,
          environment: home.childEnvironment,
          folder,
          base: program.takeBase && join(folder, 'base'),
          port: instancePort,
        }),
    )
    const { log, data } = launch
    return new EmbeddedService({ name, port, supervisor, server, program, instances, folder, data, log, onStopped })
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

async function describeProgram(
  definition: ServiceDefinition,
  { supervisor, home }: LaunchContext,
): Promise<LocalProgram> {
  const { name } = definition.service
  const program = await home.programs.get(name)?.(definition, supervisor)
  if (program) {
    return program
  }
  throw new InfraError('INFRA_SERVICE_START', {
    problem: `Cannot start service "${name}" as a local process: only PostgreSQL and Redis can be`,
    remedy: 'Set VITEST_INFRA_PROVIDER=docker',
    service: name,
    provider: 'embedded',
  })
}

async function startServer(launch: Launch): Promise<Running> {
  const { program, data } = launch
  const filled = await fill(launch)
  const running = await startOnPort(launch)
  if (running.server.exit === undefined || filled === 'new') {
    return running
  }
  // The cached copy may be broken, so start again without it. If the cause is another one, this start fails, too.
  await program.discardCached()
  await rm(data, { recursive: true, force: true })
  await fill(launch)
  return startOnPort(launch)
}

async function fill({ program, data, signal }: Launch): Promise<'new' | 'cached'> {
  signal.throwIfAborted()
  const filled = await program.fill(data)
  signal.throwIfAborted()
  return filled
}

/** Starts the server. Tries further ports, because another program may have taken a free port meanwhile. */
async function startOnPort(launch: Launch): Promise<Running> {
  const { definition, supervisor, log } = launch
  for (let attempt = 1; ; attempt += 1) {
    const port = definition.hostPort ?? (await supervisor.reservePorts(1))[0] ?? 0
    const server = await startOnce(launch, port)
    const isOver = definition.hostPort !== undefined || attempt === PORT_ATTEMPTS
    if (server.exit === undefined || isOver || !PORT_IN_USE.test(await readLogTail(log, LOG_LINES))) {
      return { port, server }
    }
    await rm(log, { force: true })
  }
}

async function startOnce(launch: Launch, port: number): Promise<ChildProgram> {
  const { supervisor, program, definition, home, folder, data, log, signal } = launch
  const { file, account, endSignal } = program
  const [, ...words] = definition.command
  const server = await supervisor.start({
    file,
    args: program.arguments(words, { folder: data, port }),
    environment: home.childEnvironment,
    folder,
    log,
    endSignal,
    ...(account && { account }),
  })
  await awaitListening(server, port, () => !signal.aborted)
  if (signal.aborted) {
    await server.end()
    throw signal.reason
  }
  return server
}
