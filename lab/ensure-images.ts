import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'

import type { DockerApi } from './docker-api.ts'
import { buildStandIn, downloadStandIns, isOutdated, STAND_IN_LABEL } from './images.ts'
import type { Lab } from './lab.ts'
import { LabError, reasonOf } from './report.ts'
import { STAND_INS, type StandIn } from './stand-ins.ts'

/** How long a registry may be silent before it counts as unreachable. A closed network often drops packets silently. */
const REGISTRY_LIMIT_MS = 4_000
const REGISTRY_MEMORY_MS = 15 * 60_000
/** Matches a refusal by the registry itself. Every other failure is one of the network. */
const REFUSAL = /toomanyrequests|unauthorized|denied: |manifest unknown|manifest for .* not found|no matching manifest/i

export interface ImageState {
  readonly image: string
  readonly state: 'missing' | 'official' | 'stand-in'
  readonly version?: string
  readonly labels: Readonly<Record<string, string>>
  readonly outdated: boolean
}

export async function readImages(api: DockerApi): Promise<readonly ImageState[]> {
  return Promise.all(STAND_INS.map((standIn) => readImage(api, standIn)))
}

/** Whether to keep stand-ins that another version of the lab built, as in an engine that is not this clone's own. */
export type StandInAge = 'any' | 'current'

export async function hasImages(api: DockerApi, age: StandInAge): Promise<boolean> {
  const states = await readImages(api)
  return states.every(({ state, outdated }) => state !== 'missing' && (age === 'any' || !outdated))
}

/**
 * Makes sure that the engine has the images: existing ones are kept, missing ones are pulled, and if no registry
 * answers, stand-ins are built.
 */
export async function ensureImages(lab: Lab, api: DockerApi, age: StandInAge): Promise<void> {
  const states = await readImages(api)
  const wanted = STAND_INS.filter((_, index) => states[index]?.state === 'missing')
  const outdated = STAND_INS.filter((_, index) => age === 'current' && states[index]?.outdated)
  if (wanted.length + outdated.length === 0) return
  const pulled = await pullFromRegistry(lab, api, wanted)
  await buildAll(lab, api, [...wanted.filter((standIn) => !pulled.includes(standIn)), ...outdated])
}

async function readImage(api: DockerApi, standIn: StandIn): Promise<ImageState> {
  const facts = await api.findImage(standIn.image)
  if (facts === undefined) return { image: standIn.image, state: 'missing', labels: {}, outdated: false }
  const labels = facts.Config?.Labels ?? {}
  const version = labels['org.opencontainers.image.version']
  return {
    image: standIn.image,
    state: labels[STAND_IN_LABEL] === 'true' ? 'stand-in' : 'official',
    ...(version === undefined ? {} : { version }),
    labels,
    outdated: await isOutdated(standIn, labels),
  }
}

/** Pulls the images one after the other, and stops at the first one for which no registry answers. */
async function pullFromRegistry(lab: Lab, api: DockerApi, wanted: readonly StandIn[]): Promise<readonly StandIn[]> {
  if (wanted.length === 0 || (await wasSilent(lab, api))) return []
  for (const [index, standIn] of wanted.entries()) {
    const answered = await pull(lab, api, standIn.image)
    if (!answered) {
      await rememberSilence(lab, api)
      return wanted.slice(0, index)
    }
  }
  return wanted
}

/** Pulls an image; returns whether a registry answered. Only the engine talks to registries. */
async function pull(lab: Lab, api: DockerApi, image: string): Promise<boolean> {
  const silence = new AbortController()
  const timer = setTimeout(() => silence.abort(), REGISTRY_LIMIT_MS)
  try {
    lab.report.line(`pulling ${image} …`)
    await api.pullImage(image, AbortSignal.any([silence.signal, lab.signal]), () => clearTimeout(timer))
    lab.report.line(`pulled ${image}`)
    return true
  } catch (error) {
    lab.signal.throwIfAborted()
    if (REFUSAL.test(reasonOf(error))) {
      throw new LabError(
        `Cannot pull "${image}": ${reasonOf(error)}`,
        'Pull or load it into this engine yourself, then run the lab again',
        { cause: error },
      )
    }
    lab.report.line(
      `no image registry answers (${silence.signal.aborted ? `silent for ${REGISTRY_LIMIT_MS / 1000} s` : lastClause(reasonOf(error))})`,
    )
    return false
  } finally {
    clearTimeout(timer)
  }
}

/** The engine wraps the network's own words many times over. */
function lastClause(reason: string): string {
  return reason.split(': ').slice(-2).join(': ')
}

interface Silence {
  readonly engine: string
  readonly since: number
}

async function wasSilent(lab: Lab, api: DockerApi): Promise<boolean> {
  const text = await readFile(lab.layout.registryRecord, 'utf8').catch(() => undefined)
  if (text === undefined) return false
  const { engine, since } = JSON.parse(text) as Silence
  return Date.now() - since < REGISTRY_MEMORY_MS && engine === (await api.engineId())
}

async function rememberSilence(lab: Lab, api: DockerApi): Promise<void> {
  const silence: Silence = { engine: await api.engineId(), since: Date.now() }
  await mkdir(lab.layout.lab, { recursive: true })
  await writeFile(lab.layout.registryRecord, JSON.stringify(silence))
}

async function buildAll(lab: Lab, api: DockerApi, standIns: readonly StandIn[]): Promise<void> {
  if (standIns.length === 0) return
  assertPackagesUsable(standIns)
  await downloadStandIns(lab, standIns)
  const builds = standIns.map((standIn) =>
    lab.report.step(`building image ${standIn.image} (stand-in)`, () => buildStandIn(lab, api, standIn)),
  )
  // All of them end before the lab does, also when one has failed.
  const failed = (await Promise.allSettled(builds)).find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

function assertPackagesUsable(standIns: readonly StandIn[]): void {
  const missing = ['/usr/bin/apt-get', '/usr/bin/dpkg-deb'].filter((program) => !existsSync(program))
  if (missing.length === 0) return
  throw new LabError(
    `Cannot get the images ${standIns.map(({ image }) => `"${image}"`).join(', ')}: no image registry answers, and this machine cannot build stand-ins (${missing.join(', ')} missing)`,
    'Give the engine access to a registry, load the images with "docker load", or use Debian or Ubuntu',
  )
}
