import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'

import type { Lab } from './lab.ts'
import { LabError, reasonOf } from './report.ts'
import { run } from './run.ts'

export type Suite = 'bookworm' | 'forky'

const STANDARD_MIRROR = 'http://deb.debian.org/debian'
/** One run reads a suite's lists once, and so do runs that follow each other. */
const LISTS_MEMORY_MS = 60 * 60_000
const MACHINE_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/**
 * Reads one Debian suite with the machine's apt, in separate folders: nothing is installed, the machine's own lists do
 * not change, and apt verifies every signature.
 */
export interface Apt {
  /**
   * Packages of the suite as files, downloaded unless an earlier run did it.
   *
   * @throws LabError when apt cannot fetch or verify them.
   */
  fetch(set: string, selection: PackageSelection): Promise<readonly Deb[]>
  isFetched(set: string, selection: PackageSelection): Promise<boolean>
}

export interface PackageSelection {
  readonly packages: readonly string[]
  /** Whether to include a dependency of the packages; without it, none is included. */
  readonly dependencies?: (name: string) => boolean
}

export interface Deb {
  readonly path: string
  readonly name: string
  /** Upstream's version, without Debian's epoch, revision and repack marks. */
  readonly version: string
}

export function createApt(lab: Lab, suite: Suite): Apt {
  const home = join(lab.layout.apt, suite)
  const log = join(lab.layout.logs, `apt-${suite}.log`)
  const apt = (command: string, args: readonly string[], cwd?: string): Promise<string> =>
    run(command, [...aptOptions(home), ...args], { log, signal: lab.signal, ...(cwd === undefined ? {} : { cwd }) })

  async function update(): Promise<void> {
    const done = join(home, 'updated')
    if (await isYounger(done, LISTS_MEMORY_MS)) return
    await prepareHome(home)
    const keyring = await ensureKeyring(lab)
    const mirrors = [...new Set([machineMirror(), STANDARD_MIRROR])]
    const failures: unknown[] = []
    for (const mirror of mirrors) {
      await writeFile(join(home, 'sources.list'), `deb [signed-by=${keyring}] ${mirror} ${suite} main\n`)
      try {
        await apt('apt-get', ['update'])
        return await writeFile(done, mirror)
      } catch (error) {
        // A local mirror need not carry every suite; Debian's own does.
        lab.signal.throwIfAborted()
        failures.push(error)
      }
    }
    throw new LabError(
      `Cannot read Debian's package lists (${suite}) from ${mirrors.join(' or ')}: ${lastLine(reasonOf(failures[0]))}`,
      `Check this machine's network, and the proxy in /etc/apt/apt.conf.d; all that apt said is in ${log}`,
      { cause: failures[0] },
    )
  }

  async function resolveNames({ packages, dependencies }: PackageSelection): Promise<readonly string[]> {
    if (dependencies === undefined) return packages
    const plan = await apt('apt-get', ['--simulate', '--no-install-recommends', 'install', ...packages])
    const planned = [...plan.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? '')
    return [...new Set([...packages, ...planned.filter(dependencies)])]
  }

  const folderOf = (set: string): string => join(home, 'debs', set)

  return {
    async isFetched(set, selection) {
      return (await readFetched(folderOf(set), renderRequest(selection))) !== undefined
    },
    async fetch(set, selection) {
      const folder = folderOf(set)
      const request = renderRequest(selection)
      const cached = await readFetched(folder, request)
      if (cached !== undefined) return cached

      await update()
      const part = `${folder}.part`
      await mkdir(part, { recursive: true })
      await apt('apt-get', ['download', ...(await resolveNames(selection))], part)
      await writeFile(join(part, 'request.json'), request)
      await rm(folder, { recursive: true, force: true })
      await rename(part, folder)
      return listDebs(folder)
    },
  }
}

export async function unpack(lab: Lab, debs: readonly Deb[], target: string): Promise<void> {
  await mkdir(target, { recursive: true })
  for (const deb of debs) {
    await run('dpkg-deb', ['-x', deb.path, target], { log: join(lab.layout.logs, 'unpack.log'), signal: lab.signal })
  }
}

export function versionOf(debs: readonly Deb[], name: string): string {
  const deb = debs.find((candidate) => candidate.name === name)
  if (deb === undefined)
    throw new LabError(
      `Cannot find the package "${name}" among the downloaded ones`,
      'Remove .lab/apt and run the lab again',
    )
  return deb.version
}

/** The last line of apt's output, which has the reason of a failure. */
function lastLine(text: string): string {
  return (
    text
      .trim()
      .split('\n')
      .findLast((line) => line.startsWith('E: ')) ?? text
  )
}

/** Renders the request of a download; another selection is downloaded again. */
function renderRequest({ packages, dependencies }: PackageSelection): string {
  return JSON.stringify([packages, String(dependencies)])
}

async function isYounger(path: string, ageMs: number): Promise<boolean> {
  const facts = await stat(path).catch(() => undefined)
  return facts !== undefined && Date.now() - facts.mtimeMs < ageMs
}

async function readFetched(folder: string, request: string): Promise<readonly Deb[] | undefined> {
  const fetched = await readFile(join(folder, 'request.json'), 'utf8').catch(() => undefined)
  return fetched === request ? listDebs(folder) : undefined
}

async function listDebs(folder: string): Promise<readonly Deb[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.deb')).toSorted()
  return names.map((name) => {
    const [packageName = '', version = ''] = basename(name, '.deb').split('_')
    return { path: join(folder, name), name: packageName, version: upstreamVersion(decodeURIComponent(version)) }
  })
}

function upstreamVersion(version: string): string {
  return version
    .replace(/^\d+:/, '')
    .replace(/-[^-]*$/, '')
    .replace(/[+~](dfsg|ds).*$/, '')
}

/** Options on the command line, as they must override the machine's apt.conf. */
function aptOptions(home: string, sources: 'own' | 'of the machine' = 'own'): string[] {
  const settings: Record<string, string> = {
    'Dir::State': join(home, 'state'),
    'Dir::State::status': join(home, 'state', 'status'),
    'Dir::Cache': join(home, 'cache'),
    // Container images disable these caches; without them each call parses all of Debian's lists again.
    'Dir::Cache::pkgcache': 'pkgcache.bin',
    'Dir::Cache::srcpkgcache': 'srcpkgcache.bin',
    'Acquire::Languages': 'none',
    'Acquire::Retries': '1',
    'Acquire::http::Timeout': '10',
    'Acquire::https::Timeout': '10',
    'Acquire::AllowInsecureRepositories': 'false',
    'Acquire::AllowDowngradeToInsecureRepositories': 'false',
    'APT::Get::AllowUnauthenticated': 'false',
    // apt's own user cannot reach a clone below /root.
    'APT::Sandbox::User': 'root',
    ...(sources === 'own' ? ownSources(home) : {}),
  }
  return ['-q', ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])]
}

function ownSources(home: string): Record<string, string> {
  return {
    'Dir::Etc::sourcelist': join(home, 'sources.list'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    // Without it a mirror that does not answer leaves an update that "succeeds" with no packages.
    'APT::Update::Error-Mode': 'any',
  }
}

async function prepareHome(home: string): Promise<void> {
  await mkdir(join(home, 'state', 'lists', 'partial'), { recursive: true })
  await mkdir(join(home, 'cache', 'archives', 'partial'), { recursive: true })
  // An empty status file, so that packages installed on this machine do not count.
  await writeFile(join(home, 'state', 'status'), '')
}

/** The mirror that this machine's administrator chose for Debian itself, else Debian's standard one. */
function machineMirror(): string {
  const files = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list']
  for (const file of files.filter((path) => existsSync(path))) {
    const lines = readFileSync(file, 'utf8').split('\n')
    for (const line of lines.filter((text) => /^(URIs:|deb )/.test(text))) {
      const uri = /https?:\/\/\S+\/debian(?=\/?(\s|$))/.exec(line)?.[0]
      if (uri !== undefined) return uri
    }
  }
  return STANDARD_MIRROR
}

/** Debian's keys: the machine's, or on Ubuntu those of Ubuntu's package, which is signed with Ubuntu's keys. */
async function ensureKeyring(lab: Lab): Promise<string> {
  if (existsSync(MACHINE_KEYRING)) return MACHINE_KEYRING
  const home = join(lab.layout.apt, 'keyring')
  const target = join(home, 'root', MACHINE_KEYRING)
  if (existsSync(target)) return target
  await prepareHome(home)
  const options = aptOptions(home, 'of the machine')
  const log = join(lab.layout.logs, 'apt-keyring.log')
  await run('apt-get', [...options, 'update'], { log, signal: lab.signal })
  await run('apt-get', [...options, 'download', 'debian-archive-keyring'], { log, signal: lab.signal, cwd: home })
  const debs = await listDebs(home)
  await unpack(lab, debs, join(home, 'root'))
  return target
}
