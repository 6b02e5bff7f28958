import { existsSync, readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'

import type { DockerApi } from './docker-api.ts'
import { DEFAULT_VARIANT, resolveVariant } from './engine-packages.ts'
import { apiOf, findRunningEngine, startEngine, type EngineRecord } from './engine.ts'
import { ensureImages, hasImages } from './ensure-images.ts'
import { findEngine } from './find-engine.ts'
import type { Lab } from './lab.ts'
import { withLock } from './lock.ts'
import { LabError } from './report.ts'

/** The engine that serves, and whether it is this clone's own. */
export type Serving =
  | { readonly kind: 'own'; readonly record: EngineRecord }
  | { readonly kind: 'found'; readonly origin: string; readonly api: DockerApi }
  | { readonly kind: 'unchecked'; readonly host: string }

/**
 * Makes sure that a container engine answers and has the three images.
 *
 * @throws LabError in two lines when this machine lacks something that the lab cannot bring.
 */
export async function ensureLab(lab: Lab): Promise<Serving> {
  const serving = await ensureEngine(lab)
  if (serving.kind === 'found' && !(await hasImages(serving.api, 'any'))) {
    await withLock(lab, () => ensureImages(lab, serving.api, 'any'))
  }
  if (serving.kind === 'unchecked')
    lab.report.line(`${serving.host} is left to the docker command; its images are not checked`)
  return serving
}

/** The running engine, if there is one. Starts nothing. */
export async function findServing(
  given: Lab,
): Promise<Serving | { readonly kind: 'none'; readonly tried: readonly string[] }> {
  const own = await findRunningEngine(given)
  const lab = own === undefined ? withoutOwnAddress(given) : given
  if (own !== undefined && isOwnHost(lab, own)) return { kind: 'own', record: own }
  const search = await findEngine(lab)
  if (search.kind === 'found') return { kind: 'found', origin: search.engine.origin, api: search.engine.api }
  if (search.kind === 'unchecked') return search
  return own === undefined ? search : { kind: 'own', record: own }
}

async function ensureEngine(lab: Lab): Promise<Serving> {
  const found = await findServing(lab)
  const variant = resolveVariant(lab.environment['LAB_ENGINE'])
  if (found.kind === 'found' || found.kind === 'unchecked') return found
  if (found.kind === 'own') {
    if (variant !== undefined && variant !== found.record.variant) {
      throw new LabError(
        `Cannot use LAB_ENGINE=${variant}: this clone's engine is running and is "${found.record.variant}"`,
        'Stop it first: npm run -s lab -- down',
      )
    }
    if (await hasImages(apiOf(found.record), 'current')) return found
  }
  assertCanSetUp(found.kind === 'none' ? found.tried : [])
  return withLock(lab, async () => {
    // Another run may have finished the work while this one waited.
    const record = (await findRunningEngine(lab)) ?? (await startEngine(lab, variant ?? DEFAULT_VARIANT))
    await ensureImages(lab, apiOf(record), 'current')
    await writeFile(lab.layout.setUpMark, '')
    return { kind: 'own', record }
  })
}

/** A shell that evaluated the lab's output keeps DOCKER_HOST after the engine was stopped. That is no choice of another engine. */
function withoutOwnAddress(lab: Lab): Lab {
  const { DOCKER_HOST: host, ...environment } = lab.environment
  return host === `unix://${lab.layout.socket}` ? { ...lab, environment } : lab
}

export function isOwnHost(lab: Lab, record: EngineRecord): boolean {
  return lab.environment['DOCKER_HOST'] === `unix://${record.socket}`
}

function assertCanSetUp(tried: readonly string[]): void {
  const reasons = [
    ...(isDebian() ? [] : ['this is not Debian or Ubuntu']),
    ...(process.getuid?.() === 0 ? [] : ['this user is not root']),
    ...['/usr/bin/apt-get', '/usr/bin/dpkg-deb']
      .filter((program) => !existsSync(program))
      .map((program) => `${program} is missing`),
  ]
  if (reasons.length === 0) return
  const looked = tried.length === 0 ? 'there is no socket where one usually is' : `tried ${tried.join(', ')}`
  throw new LabError(
    `Cannot find a container engine (${looked}), and cannot set one up: ${reasons.join(', ')}`,
    'Start Docker, or point DOCKER_HOST at an engine; on Debian or Ubuntu, run as root to get a private one',
  )
}

function isDebian(): boolean {
  if (process.platform !== 'linux' || !existsSync('/etc/os-release')) return false
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'))
}
