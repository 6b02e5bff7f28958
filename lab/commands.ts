import type { DockerApi } from './docker-api.ts'
import { quote } from './engine-packages.ts'
import { apiOf, findRunningEngine, stopEngine, wasSetUp } from './engine.ts'
import { readImages, type ImageState } from './ensure-images.ts'
import { ensureLab, findServing, isOwnHost, type Serving } from './ensure-lab.ts'
import { engineEnvironment, runCommand } from './exec.ts'
import type { Lab } from './lab.ts'
import { withLock } from './lock.ts'
import { pathWithRedis } from './redis-server.ts'

export interface ExecOptions {
  readonly unlessStopped: boolean
  readonly program: string
  readonly args: readonly string[]
}

/** Each command resolves with the exit code of the process. */
export async function up(lab: Lab): Promise<number> {
  const serving = await ensureLab(lab)
  if (serving.kind !== 'own') return 0
  const { DOCKER_HOST, PATH } = engineEnvironment(lab, serving.record)
  process.stdout.write(`export DOCKER_HOST=${quote(DOCKER_HOST)}\n`)
  if (PATH !== lab.environment['PATH']) process.stdout.write(`export PATH=${quote(lab.layout.bin)}:"$PATH"\n`)
  return 0
}

export async function down(lab: Lab): Promise<number> {
  await withLock(lab, () => stopEngine(lab))
  return 0
}

export async function status(lab: Lab): Promise<number> {
  const serving = await findServing(lab)
  if (serving.kind === 'none') {
    say('engine', wasSetUp(lab) ? "none (this clone's own is stopped)" : 'none')
    return 1
  }
  if (serving.kind === 'unchecked') {
    say('engine', `${serving.host} (not checked)`)
    return 0
  }
  const isOwn = serving.kind === 'own'
  const api = isOwn ? apiOf(serving.record) : serving.api
  say('engine', `Docker ${(await api.version()).Version}, ${isOwn ? "this clone's own" : `from ${serving.origin}`}`)
  say('address', api.endpoint.host)
  for (const image of await readImages(api)) say(image.image, describeImage(image, isOwn))
  return 0
}

function describeImage({ state, version, outdated }: ImageState, isOwn: boolean): string {
  const age = outdated ? [isOwn ? 'outdated, the next run builds it anew' : 'of another version of the lab'] : []
  return [[state, version].filter((part) => part !== undefined).join(' '), ...age].join(', ')
}

function say(name: string, value: string): void {
  process.stdout.write(`${name.padEnd(24)} ${value}\n`)
}

export async function exec(lab: Lab, { unlessStopped, program, args }: ExecOptions): Promise<number> {
  const variables = await resolveEngineVariables(lab, unlessStopped)
  if (lab.environment['LAB'] === 'off') return runCommand(program, args, { ...lab.environment })
  const environment = { ...lab.environment, ...variables }
  return runCommand(program, args, { ...environment, ...(await pathWithRedis({ ...lab, environment })) })
}

/** The variables for the program: none if the user chose an engine, or if the machine's own is used. */
async function resolveEngineVariables(lab: Lab, unlessStopped: boolean): Promise<Partial<NodeJS.ProcessEnv>> {
  const { LAB, VITEST_INFRA_PROVIDER } = lab.environment
  // Local processes need no engine; the machine may lack a Redis.
  if (LAB === 'off' || VITEST_INFRA_PROVIDER === 'embedded') return {}
  if (unlessStopped && (await isStopped(lab))) {
    lab.report.line("this clone's engine is stopped; `npm run -s lab` starts it")
    return {}
  }
  if (await hasOtherHost(lab)) return {}
  const serving: Serving = await ensureLab(lab)
  if (serving.kind !== 'own') return {}
  await reportStandIns(lab, apiOf(serving.record))
  return engineEnvironment(lab, serving.record)
}

/** Reports that these are not the official images. */
async function reportStandIns({ report }: Lab, api: DockerApi): Promise<void> {
  const standIns = (await readImages(api)).filter(({ state }) => state === 'stand-in')
  for (const { image, labels } of standIns) {
    const told = ['vitest-infra.stand-in', 'org.opencontainers.image.version'].map((name) => `${name}=${labels[name]}`)
    report.line(`${image} is a stand-in made of Debian packages (${told.join(', ')})`)
  }
}

async function isStopped(lab: Lab): Promise<boolean> {
  const host = lab.environment['DOCKER_HOST']
  if (host && host !== `unix://${lab.layout.socket}`) return false
  return wasSetUp(lab) && (await findServing(lab)).kind === 'none'
}

/** A DOCKER_HOST that is not this clone's running engine is the user's choice: the program's own error shows what is wrong with it. */
async function hasOtherHost(lab: Lab): Promise<boolean> {
  if (!lab.environment['DOCKER_HOST']) return false
  const own = await findRunningEngine(lab)
  return own === undefined || !isOwnHost(lab, own)
}
