import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { findGlobalReferences } from './support/global-references.ts'
import { COMPUTED, findCycles, findReach, type Import, isOurs, readImports } from './support/import-graph.ts'
import { placeOf, readSources } from './support/source.ts'

// The directions of imports and the process wall, checked against the real imports.
const sources = readSources()
const imports = readImports(sources)

const STATIC = ['static'] as const
const AT_RUN_TIME = ['static', 'dynamic'] as const
const ALL_KINDS = ['static', 'dynamic', 'type'] as const

/** From bottom to top: a file may import from layers below it, and from its own area. */
const LAYERS: readonly (readonly string[])[] = [
  ['errors.ts', 'package-files.ts', 'register.ts'],
  ['internal/', 'package-version.ts'],
  ['config/', 'environment/', 'compose/', 'report/'],
  ['services/', 'seeds/'],
  ['providers/', 'leasing/', 'migrations/'],
  ['databases/', 'reset/', 'worker/'],
  ['servers/'],
  ['external/'],
  ['health/'],
  ['stack/'],
  ['vitest/', 'read-project.ts'],
  ['commands/'],
]
/** The one layer whose areas may import each other: all of it is pure. */
const PURE_LAYER = 2

const PURE_FILES = /^(?:(?:config|environment|compose)\/|report\/events\.ts$)/
/** Apart from types; none of them reads or writes anything. */
const PURE_PACKAGES = ['node:util', 'valibot', 'yaml']

/** Files in `src/` that are not entries. */
const NOT_ENTRIES = ['errors.ts', 'package-files.ts', 'package-version.ts', 'read-project.ts', 'register.ts']
const entries = sources.map(({ path }) => path).filter((path) => !path.includes('/') && !NOT_ENTRIES.includes(path))

function areaOf(path: string): string | undefined {
  return LAYERS.flat().find((area) => (area.endsWith('/') ? path.startsWith(area) : path === area))
}

function layerOf(path: string): number {
  return LAYERS.findIndex((areas) => areas.includes(areaOf(path) ?? ''))
}

function show({ from, to, kind }: Import): string {
  return `${from} → ${to} (${kind})`
}

function isAtRunTime({ kind }: Import): boolean {
  return kind !== 'type'
}

/** The import paths from an entry to forbidden files. */
function findBreaches(entry: string, isForbidden: (module: string) => boolean): string[] {
  const reach = findReach(imports, entry, AT_RUN_TIME)
  return [...reach].flatMap(([module, way]) => (isForbidden(module) ? [way] : []))
}

function ourFilesIn(entry: string): string[] {
  return [...findReach(imports, entry, AT_RUN_TIME).keys()].filter(isOurs)
}

test('every source file is an entry or belongs to a layer', () => {
  const homeless = sources.map(({ path }) => path).filter((path) => !entries.includes(path) && layerOf(path) === -1)
  expect(homeless).toEqual([])
})

test('every import of a file resolves to a file', () => {
  const paths = new Set(sources.map(({ path }) => path))
  expect(imports.filter(({ to }) => isOurs(to) && !paths.has(to)).map(show)).toEqual([])
})

test('imports form no cycle, not even for types', () => {
  expect(findCycles(imports, ALL_KINDS)).toEqual([])
})

test('nothing imports an entry', () => {
  expect(imports.filter(({ to }) => entries.includes(to)).map(show)).toEqual([])
})

test('what package.json exports is an entry', () => {
  const { exports, bin = {} } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    exports: Record<string, string | { default: string }>
    bin?: Record<string, string>
  }
  const targets = [...Object.values(exports), ...Object.values(bin)]
    .map((target) => (typeof target === 'string' ? target : target.default))
    .filter((target) => target.endsWith('.js'))
    .map((target) => target.replace('./dist/', '').replace(/\.js$/, '.ts'))
  // Vitest gets its path.
  expect(entries.toSorted()).toEqual([...targets, 'setup-file.ts'].toSorted())
})

test('imports point downward', () => {
  const upward = imports.filter(({ from, to }) => {
    const [above, below] = [layerOf(from), layerOf(to)]
    const isInside = areaOf(from) === areaOf(to) || (above === PURE_LAYER && below === PURE_LAYER)
    return isOurs(to) && !entries.includes(from) && !isInside && below >= above
  })
  expect(upward.map(show)).toEqual([])
})

test('the pure part imports nothing that reads or writes', () => {
  const impure = imports.filter(
    (edge) => PURE_FILES.test(edge.from) && isAtRunTime(edge) && !isOurs(edge.to) && !PURE_PACKAGES.includes(edge.to),
  )
  expect(impure.map(show)).toEqual([])
})

test('the pure part knows no process, console, clock or network', () => {
  const names = ['process', 'console', 'performance', 'Date', 'setTimeout', 'setInterval', 'setImmediate', 'fetch']
  const uses = sources.filter(({ path }) => PURE_FILES.test(path)).flatMap((file) => findGlobalReferences(file, names))
  expect(uses).toEqual([])
})

// A migration tool that is a command runs in its own process, and so does the program of `vitest-infra run`.
test('only providers and migration tools use testcontainers and child processes', () => {
  const programs = ['migrations/run-program.ts', 'commands/run.ts']
  const outside = imports.filter(
    ({ from, to }) =>
      /^(?:(?:node:)?child_process|dockerode|testcontainers|@testcontainers\/[^/]+)(?:\/|$)/.test(to) &&
      !from.startsWith('providers/') &&
      !programs.includes(from),
  )
  expect(outside.map(show)).toEqual([])
})

test("Testcontainers' client is only asked which engine it has found", () => {
  const users = sources.filter(({ text }) => text.includes('.dockerode')).map(({ path }) => path)
  expect(users).toEqual(['providers/docker/engine/connect-testcontainers.ts'])
})

// Type-only imports aside; test.ts opens the connections that its fixtures hand out.
test('only services, lease backends and test.ts use database clients', () => {
  const outside = imports.filter(
    (edge) =>
      isAtRunTime(edge) &&
      /^(?:pg|ioredis)(?:\/|$)/.test(edge.to) &&
      !/^(?:services\/|(?:databases|external|reset|servers|worker)\/|test\.ts$)/.test(edge.from),
  )
  expect(outside.map(show)).toEqual([])
})

// `docker/containers.ts` represents testcontainers, behind its own dynamic import.
test('database clients and testcontainers are loaded lazily', () => {
  const heavy = /^(?:pg|ioredis|testcontainers|@testcontainers\/[^/]+)(?:\/|$)/
  const early = imports.filter(({ to, kind, from }) => {
    return kind === 'static' && heavy.test(to) && from !== 'providers/docker/container/containers.ts'
  })
  const alwaysLoaded = [...entries, 'stack/start-infra.ts'].flatMap((entry) =>
    [...findReach(imports, entry, STATIC)].flatMap(([module, way]) => (heavy.test(module) ? [way] : [])),
  )
  expect([...early.map(show), ...alwaysLoaded]).toEqual([])
})

test('the stack imports only the contract and the selection of providers', () => {
  const others = imports.filter(
    ({ from, to }) => from.startsWith('stack/') && /^providers\/(?!(?:provider|select-provider)\.ts$)/.test(to),
  )
  expect(others.map(show)).toEqual([])
})

test("only infra.config and Kysely's migrations are imported by a computed path", () => {
  const importers = imports.filter(({ to }) => to === COMPUTED).map(({ from }) => from)
  expect(importers).toEqual(['migrations/migrate-with-kysely.ts', 'read-project.ts'])
})

test('only report uses console', () => {
  const uses = sources
    .filter(({ path }) => !path.startsWith('report/'))
    .flatMap((file) => findGlobalReferences(file, ['console']))
  expect(uses).toEqual([])
})

test('only entries use the environment, exit and signals of the process', () => {
  const harmless = ['platform', 'pid', 'getuid']
  // They keep something on `process`, the one object that vm pools do not renew, and ask nothing of it.
  const holders = ['worker/file-lease.ts', 'worker/child-processes.ts']
  // It asks whether processes run, and sends no signal.
  const asking = 'internal/is-running.ts'
  // It is a separate process, and these are its parts.
  const supervisor = ['supervisor-process.ts', 'child-programs.ts', 'process-children.ts', 'run-folder.ts'].map(
    (file) => `providers/embedded/${file}`,
  )
  // So is this.
  const guard = 'providers/docker/container/start-guard-process.ts'
  const uses = sources
    .filter(({ path }) => ![...entries, ...supervisor, guard, asking].includes(path))
    .flatMap((file) =>
      findGlobalReferences(file, ['process']).filter(({ property }) =>
        property === undefined ? !holders.includes(file.path) : !harmless.includes(property),
      ),
    )
  expect(uses).toEqual([])
  expect(imports.filter(({ to }) => /^(?:node:)?process$/.test(to)).map(show)).toEqual([])
})

/** Files with handles that let the process exit, and why nothing awaits them. */
const UNREFERENCED = {
  'servers/lease-proxy.ts':
    'a port for clients of tests, and their connections; nothing in this process waits for them',
  'leasing/lease-client.ts': 'an idle connection of a worker; held while an answer is awaited',
  'leasing/lease-server.ts': 'idle connections of workers, which hold the run themselves',
  'worker/next-session.ts': 'a session that waits for the next test, and holds the process from then on',
  'providers/embedded/supervisor.ts': 'held while an answer is awaited',
  'providers/embedded/lifeline.ts': 'a shell that outlives its process on purpose',
  'providers/docker/engine/engine-request.ts': 'once whoever asked has let go of the request',
  'providers/docker/container/lifeline.ts': 'a connection whose end is what it is for',
  'providers/docker/container/container-exit.ts': 'events, which are awaited beside a timer',
  'providers/docker/container/start-guard.ts': 'a process that outlives this one on purpose',
}

// Node exits with 0 if only such a handle is awaited: a run would be green without a test.
test('only listed files use unreferenced handles', () => {
  const unrefs = sources.filter(({ text }) => /\bunref\b(?!erence)|ref: false/.test(text)).map(({ path }) => path)
  expect(unrefs.toSorted()).toEqual(Object.keys(UNREFERENCED).toSorted())
  // Its timer is such a handle, too: withTimeLimit() has one that holds.
  const timeouts = sources.filter(({ text }) => /(?<!`)AbortSignal\.timeout\(/.test(text)).map(({ path }) => path)
  expect(timeouts).toEqual([])
})

/** Files with our name in text for people, inside one process, session or method, or as a salt. */
const NAMED =
  /^(?:commands\/|vitest\/registry|worker\/(?:report-failures|savepoint)|databases\/failure-log|services\/postgres-snapshot|internal\/names)/

// A name that is written twice may be given in one way and recognised in another.
test('only internal/names.ts names databases, connections, keys, containers, images and files', () => {
  const isName = (text: unknown) =>
    typeof text === 'string' && /(?<![`\w])vitest[-_]infra[-_.:](?!\s)|^vitest[-_]infra(?: |$)/.test(text)
  const places = sources
    .filter(({ path }) => !NAMED.test(path))
    .flatMap((source) =>
      source.nodes
        .filter(({ type, value }) =>
          type === 'TemplateElement' ? isName((value as { raw: string }).raw) : type === 'Literal' && isName(value),
        )
        .map((node) => placeOf(source, node)),
    )
  expect(places).toEqual([])
})

test.for(['setup-file.ts', 'test.ts'])('the process wall: a worker that imports %s gets no stack', (entry) => {
  const forbidden = /^(?:providers\/|stack\/|(?:testcontainers|@testcontainers\/[^/]+|dockerode)(?:\/|$)|vitest\/node$)/
  expect(findBreaches(entry, (module) => forbidden.test(module))).toEqual([])
})

// Importing it outside a worker throws.
test("the process wall: the global setup gets none of Vitest's test API", () => {
  const breaches = ['global-setup.ts', 'plugin.ts'].flatMap((entry) =>
    findBreaches(entry, (module) => /^vitest(?:\/(?!node$)|$)/.test(module) && !isOurs(module)),
  )
  expect(breaches).toEqual([])
})

test('the process wall: what both sides share belongs to neither', () => {
  const worker = new Set(['setup-file.ts', 'test.ts'].flatMap(ourFilesIn))
  const shared = ourFilesIn('global-setup.ts').filter((path) => worker.has(path))
  expect(shared.toSorted()).toEqual([
    'environment/set-variables.ts',
    'errors.ts',
    'internal/names.ts',
    'internal/requests.ts',
  ])
})

test('the plugin loads a few small files and no package', () => {
  expect([...findReach(imports, 'plugin.ts', AT_RUN_TIME).keys()].toSorted()).toEqual([
    'node:path',
    'package-files.ts',
    'plugin.ts',
    'vitest/registry.ts',
    'vitest/setup-file-path.ts',
  ])
})

// infra.config.ts imports it.
test('the main entry loads a few small files and no package', () => {
  expect([...findReach(imports, 'index.ts', AT_RUN_TIME).keys()].toSorted()).toEqual([
    'config/infra-options.ts',
    'errors.ts',
    'index.ts',
    'node:util',
  ])
})
