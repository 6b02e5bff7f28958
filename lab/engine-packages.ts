import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { createApt, unpack, versionOf, type Deb, type Suite } from './apt.ts'
import type { Lab } from './lab.ts'
import { LabError } from './report.ts'

export type EngineVariant = 'forky' | 'bookworm'

export const DEFAULT_VARIANT: EngineVariant = 'forky'

/** An unpacked engine: nothing of it is installed into the system. */
export interface EngineFiles {
  readonly variant: EngineVariant
  readonly version: string
  readonly root: string
  /** Folders with the programs that the daemons call. */
  readonly path: string
  readonly libraryPath: string
  readonly dockerd: string
  readonly containerd: string
  readonly docker: string
  readonly busybox: string
  readonly iptables: string
}

/** Only Debian 12's runc and iptables run on Debian 12's libc; they serve newer machines too. */
const COMMON = [
  'runc',
  'libseccomp2',
  'iptables',
  'libip4tc2',
  'libip6tc2',
  'libnetfilter-conntrack3',
  'libnfnetlink0',
  'libxtables12',
  'libnftnl11',
  'libmnl0',
  'busybox-static',
]
const CLIENT = ['docker-cli', 'docker-compose']

/** In the order of unpacking: a later suite's files replace an earlier one's. */
const SUITES: readonly Suite[] = ['bookworm', 'forky']

const PACKAGES: Readonly<Record<EngineVariant, Readonly<Record<Suite, readonly string[]>>>> = {
  forky: { bookworm: COMMON, forky: ['docker.io', 'containerd', 'tini-static', ...CLIENT] },
  bookworm: { bookworm: [...COMMON, 'docker.io', 'containerd', 'tini', 'libdevmapper1.02.1'], forky: CLIENT },
}

export function resolveVariant(value: string | undefined): EngineVariant | undefined {
  if (value === undefined || value === '') return undefined
  if (value === 'forky' || value === 'bookworm') return value
  throw new LabError(
    `Cannot use the engine "${value}": LAB_ENGINE names an unknown one`,
    'Set LAB_ENGINE to "forky" (Docker 28) or "bookworm" (Docker 20.10), or unset it',
  )
}

/** Downloads and unpacks the engine, each only if an earlier run has not. */
export async function ensureEngineFiles(lab: Lab, variant: EngineVariant): Promise<EngineFiles> {
  const root = join(lab.layout.engines, variant)
  const request = JSON.stringify(PACKAGES[variant])
  const done = join(root, 'packages.json')
  if ((await readFile(done, 'utf8').catch(() => undefined)) !== request) {
    const debs = await fetchEngine(lab, variant)
    await lab.report.step(
      `unpacking the engine (docker.io ${versionOf(debs, 'docker.io')}, containerd ${versionOf(debs, 'containerd')}, runc ${versionOf(debs, 'runc')})`,
      async () => {
        const part = `${root}.part`
        await rm(part, { recursive: true, force: true })
        await unpack(lab, debs, part)
        await writeFile(join(part, 'version'), versionOf(debs, 'docker.io'))
        await writeFile(join(part, 'packages.json'), request)
        await rm(root, { recursive: true, force: true })
        await rename(part, root)
      },
    )
  }
  return describeFiles(variant, root, await readFile(join(root, 'version'), 'utf8'))
}

/** The engine that is there, if it is, without downloading anything. */
export async function findEngineFiles(lab: Lab, variant: EngineVariant): Promise<EngineFiles | undefined> {
  const root = join(lab.layout.engines, variant)
  const version = await readFile(join(root, 'version'), 'utf8').catch(() => undefined)
  return version === undefined ? undefined : describeFiles(variant, root, version)
}

async function fetchEngine(lab: Lab, variant: EngineVariant): Promise<readonly Deb[]> {
  const set = `engine-${variant}`
  const sources = SUITES.map((suite) => ({
    apt: createApt(lab, suite),
    selection: { packages: PACKAGES[variant][suite] },
  }))
  const fetchAll = async (): Promise<readonly Deb[]> =>
    (await Promise.all(sources.map(({ apt, selection }) => apt.fetch(set, selection)))).flat()
  const fetched = await Promise.all(sources.map(({ apt, selection }) => apt.isFetched(set, selection)))
  if (fetched.every(Boolean)) return fetchAll()
  const count = sources.flatMap(({ selection }) => selection.packages).length
  return lab.report.step(`downloading the engine (${count} packages of Debian)`, fetchAll)
}

async function describeFiles(variant: EngineVariant, root: string, version: string): Promise<EngineFiles> {
  const libraries = await findLibraries(root)
  return {
    variant,
    version,
    root,
    path: [join(root, 'tools'), join(root, 'usr/sbin'), join(root, 'usr/bin')].join(':'),
    libraryPath: libraries.join(':'),
    dockerd: join(root, 'usr/sbin/dockerd'),
    containerd: join(root, 'usr/bin/containerd'),
    docker: join(root, 'usr/bin/docker'),
    busybox: join(root, 'bin/busybox'),
    iptables: join(root, 'tools/iptables'),
  }
}

async function findLibraries(root: string): Promise<readonly string[]> {
  const triplet = (await readdir(join(root, 'usr/lib'))).find((name) => name.endsWith('-linux-gnu')) ?? ''
  return [join(root, 'usr/lib', triplet), join(root, 'lib', triplet)].filter((folder) => existsSync(folder))
}

/** Writes the small programs that have the clone's path in them. Each start does it, so a clone may be moved. */
export async function writeTools(lab: Lab, files: EngineFiles, socket: string): Promise<void> {
  const tools = join(files.root, 'tools')
  await mkdir(tools, { recursive: true })
  const xtables = {
    LD_LIBRARY_PATH: files.libraryPath,
    XTABLES_LIBDIR: join(files.libraryPath.split(':')[0] ?? '', 'xtables'),
  }
  for (const name of [
    'iptables',
    'iptables-save',
    'iptables-restore',
    'ip6tables',
    'ip6tables-save',
    'ip6tables-restore',
  ]) {
    await writeProgram(join(tools, name), [
      ...Object.entries(xtables).map(([variable, value]) => `export ${variable}=${quote(value)}`),
      `exec ${quote(join(files.root, 'usr/sbin/xtables-nft-multi'))} ${name} "$@"`,
    ])
  }
  await mkdir(lab.layout.bin, { recursive: true })
  await writeProgram(join(lab.layout.bin, 'docker'), [
    `[ -n "\${DOCKER_HOST:-}" ] || export DOCKER_HOST=${quote(`unix://${socket}`)}`,
    `[ -n "\${DOCKER_CONFIG:-}" ] || export DOCKER_CONFIG=${quote(lab.layout.dockerConfig)}`,
    `exec ${quote(files.docker)} "$@"`,
  ])
  const plugins = join(lab.layout.dockerConfig, 'cli-plugins')
  await mkdir(plugins, { recursive: true })
  await rm(join(plugins, 'docker-compose'), { force: true })
  await symlink(join(files.root, 'usr/libexec/docker/cli-plugins/docker-compose'), join(plugins, 'docker-compose'))
}

async function writeProgram(path: string, lines: readonly string[]): Promise<void> {
  // Written to another file and renamed, as the old one may be running.
  await writeFile(
    `${path}.part`,
    ['#!/bin/sh', '# Written by the lab (lab/engine-packages.ts); changes are lost.', ...lines, ''].join('\n'),
  )
  await chmod(`${path}.part`, 0o755)
  await rename(`${path}.part`, path)
}

/** A word, quoted for a shell. */
export function quote(word: string): string {
  return /^[\w./:@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
}
