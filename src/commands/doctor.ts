import { readFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { arch, tmpdir } from 'node:os'
import { InfraError, messageOf } from '../errors.ts'
import { findManifest } from '../internal/find-manifest.ts'
import { EngineApi } from '../providers/docker/engine/engine-api.ts'
import { searchHere } from '../providers/docker/engine/engine-places.ts'
import { type Engine, findEngine } from '../providers/docker/engine/find-engine.ts'
import { findEmbeddedHome } from '../providers/embedded/embedded-home.ts'
import { findRunningServices, type RunningService } from '../providers/docker/reuse/running-services.ts'
import { MANIFEST_FILE } from '../package-files.ts'
import { assertPortFree } from '../providers/port-holder.ts'
import { readProject } from '../read-project.ts'
import { type Finding, canTestsRun, renderDiagnosis } from '../report/render-diagnosis.ts'
import type { ResolvedService } from '../config/resolve-service.ts'
import { type ResolvedSpec, servicesOf } from '../config/resolve-spec.ts'
import type { Host } from './command.ts'

/** Disk space that both images and some databases need. */
const NEEDED_BYTES = 1024 ** 3

/** Checks all requirements of tests, and prints a remedy for each fault. The exit code is 0 if tests can run. */
export async function doctor(host: Host): Promise<number> {
  const findings = [examineNode(host), await examineDisk(tmpdir())]
  let spec: ResolvedSpec | undefined
  findings.push(
    await examine('configuration', async () => {
      spec = await readProject(host)
      const names = servicesOf(spec).map(({ service }) => service.name)
      return `${spec.root}: ${names.join(', ') || 'no services'}, provider ${spec.provider}`
    }),
  )
  if (spec) {
    findings.push(examineVitest(spec), ...(await examineProviders(spec, host)))
  }
  host.stdout.write(renderDiagnosis(findings, host.stdout))
  return canTestsRun(findings) ? 0 : 1
}

/** Runs one check. If it throws an InfraError, the finding contains the remedy of that error. */
async function examine(name: string, check: () => Promise<string>): Promise<Finding> {
  try {
    return { name, text: await check() }
  } catch (error) {
    if (!(error instanceof InfraError)) {
      return { name, text: messageOf(error), remedy: 'Correct this error' }
    }
    return { name, text: error.message.slice(0, -error.remedy.length).trimEnd(), remedy: error.remedy }
  }
}

function examineNode({ nodeVersion }: Host): Finding {
  const { version, engines } = readManifest(MANIFEST_FILE)
  const wanted = engines?.node?.replace('>=', '') ?? '0'
  const text = `Node ${nodeVersion}, vitest-infra ${version}`
  return isAtLeast(nodeVersion, wanted)
    ? { name: 'node', text }
    : { name: 'node', text, remedy: `Use Node ${wanted} or newer` }
}

function examineVitest({ root }: ResolvedSpec): Finding {
  const manifest = findManifest('vitest', root)
  // Vitest is optional, as `vitest-infra run` also supports other programs.
  const text = manifest === undefined ? `not installed in ${root}` : `Vitest ${readManifest(manifest).version}`
  return { name: 'vitest', text }
}

async function examineDisk(folder: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(folder)
  const finding = { name: 'disk', text: `${((bavail * bsize) / NEEDED_BYTES).toFixed(1)} GiB free in ${folder}` }
  return bavail * bsize < NEEDED_BYTES ? { ...finding, remedy: 'Free at least 1 GiB there' } : finding
}

async function examineProviders(spec: ResolvedSpec, host: Host): Promise<Finding[]> {
  let engine: Engine | undefined
  const ofEngine = await examine('engine', async () => {
    engine = await findEngine(searchHere(host.environment))
    return `${engine.product} at ${engine.host} (${engine.source})`
  })
  const ofEmbedded = await examineEmbedded(spec, host)
  const { provider } = spec
  const isEither = provider === 'auto' && (ofEngine.remedy === undefined || ofEmbedded.remedy === undefined)
  const isWithoutDocker = provider === 'embedded' || provider === 'external' || isEither
  const isWithoutEmbedded = provider === 'docker' || provider === 'external' || isEither
  return [
    { ...ofEngine, isOptional: isWithoutDocker },
    ...(engine ? await examineEngine(engine, spec, host) : []),
    { ...ofEmbedded, isOptional: isWithoutEmbedded },
  ]
}

async function examineEngine(engine: Engine, spec: ResolvedSpec, host: Host): Promise<Finding[]> {
  const api = new EngineApi(engine)
  const images = servicesOf(spec).map(({ service: { image } }) =>
    examine('image', async () => {
      return (await api.findImage(image)) === undefined ? `${image} is not pulled yet; the first run pulls it` : image
    }),
  )
  const pinned = servicesOf(spec).filter(({ hostPort }) => hostPort !== undefined)
  const running = pinned.length > 0 ? findRunningServices(host.environment, spec.root) : undefined
  const ports = pinned.map((service) =>
    examine('port', async () => examinePort(service, (await running)?.services ?? [])),
  )
  return Promise.all([...images, ...ports])
}

async function examinePort(
  { service, hostPort = 0 }: ResolvedService,
  services: readonly RunningService[],
): Promise<string> {
  const holder = services.find(({ addressOf }) => addressOf(service.defaultPort).port === hostPort)
  if (holder) {
    return `${hostPort} is used by ${holder.container}, which is running`
  }
  await assertPortFree({ host: '127.0.0.1', port: hostPort, service: service.name, variable: service.envPortVar })
  return `${hostPort} is free for ${service.name}`
}

async function examineEmbedded(spec: ResolvedSpec, { environment }: Host): Promise<Finding> {
  const home = await findEmbeddedHome(spec, { environment, platform: process.platform, architecture: arch() })
  if ('place' in home) {
    return { name: 'embedded', text: home.description }
  }
  const text = home.map(({ service, reason }) => `${service}: ${reason}`).join('; ')
  return { name: 'embedded', text, remedy: home.map(({ install }) => install).join('; ') }
}

interface Manifest {
  readonly version: string
  readonly engines?: { readonly node?: string }
}

function readManifest(path: string): Manifest {
  return JSON.parse(readFileSync(path, 'utf8')) as Manifest
}

function isAtLeast(version: string, wanted: string): boolean {
  return version.localeCompare(wanted, 'en', { numeric: true }) >= 0
}
