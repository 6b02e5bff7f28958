import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import type { PostgresFacts, StackFacts } from '../../src/environment/infra-facts.ts'
import { systemClock } from '../../src/internal/clock.ts'
import { connectTestcontainers } from '../../src/providers/docker/engine/connect-testcontainers.ts'
import { EngineApi } from '../../src/providers/docker/engine/engine-api.ts'
import { type Engine, findEngine } from '../../src/providers/docker/engine/find-engine.ts'
import { SnapshotImages } from '../../src/providers/docker/snapshot/snapshot-images.ts'
import type { InfraEvent } from '../../src/report/events.ts'
import type { InfraOptions } from '../../src/config/infra-options.ts'
import { resolveSpec } from '../../src/config/resolve-spec.ts'
import { describeEnvironment } from '../../src/stack/stack-facts.ts'
import { startInfra } from '../../src/stack/start-infra.ts'
import type { Dockerode } from './dockerode.ts'

const PATIENCE = { timeout: 90_000, interval: 20 }

interface FoundEngine {
  readonly found: Engine
  readonly dockerode: Dockerode
}

let finding: Promise<FoundEngine> | undefined

export function engine(): Promise<FoundEngine> {
  finding ??= find()
  return finding
}

async function find(): Promise<FoundEngine> {
  const environment = process.env
  const { platform } = process
  const found = await findEngine({ environment, platform, homeDirectory: homedir(), userId: userInfo().uid })
  return { found, dockerode: (await connectTestcontainers(found, environment)).container.dockerode }
}

/** A run whose services have started. */
export interface Run {
  readonly postgres: PostgresFacts
  readonly facts: StackFacts
  /** Path of the socket on which workers lease. */
  readonly socket: string
  readonly variables: Readonly<Record<string, string>>
  /** The containers of its services. */
  readonly containers: Readonly<Record<string, string>>
  readonly events: readonly InfraEvent[]
  readonly isRestored: boolean
  stop(): Promise<void>
}

/** A project in its own folder, whose runs start and stop. */
export class Project {
  readonly root: string
  readonly images: SnapshotImages
  readonly #dockerode: Dockerode

  private constructor(root: string, { found, dockerode }: FoundEngine) {
    this.root = root
    this.#dockerode = dockerode
    this.images = new SnapshotImages(new EngineApi(found))
  }

  /** Creates a project, which is removed after the test. */
  static async create(files: Readonly<Record<string, string>> = {}): Promise<Project> {
    const project = await Project.open(files)
    onTestFinished(() => project.remove())
    return project
  }

  /** Creates a project, which the caller removes. */
  static async open(files: Readonly<Record<string, string>> = {}): Promise<Project> {
    const project = new Project(await mkdtemp(join(tmpdir(), 'snapshots-')), await engine())
    for (const [path, text] of Object.entries(files)) {
      await project.write(path, text)
    }
    return project
  }

  /** Removes the project's folder, containers and snapshots. */
  async remove(): Promise<void> {
    await this.removeContainers()
    await this.images.removeAll(this.root)
    await rm(this.root, { recursive: true })
  }

  async write(path: string, text: string): Promise<void> {
    await mkdir(dirname(join(this.root, path)), { recursive: true })
    await writeFile(join(this.root, path), text)
  }

  async start(options: InfraOptions = {}): Promise<Run> {
    const spec = resolveSpec(
      { services: ['postgres'], ...options },
      { root: this.root, source: 'the test', environment: { process: {} } },
    )
    const events: InfraEvent[] = []
    const infra = startInfra(spec, {
      environment: process.env,
      workers: 1,
      variables: () => ({}),
      report: (event) => void events.push(event),
      clock: systemClock,
    })
    onTestFinished(() => infra.stop())
    const { facts, services, socket } = await infra.up
    const isRestored = events.some((event) => event.type === 'service-healthy' && event.origin === 'snapshot')
    const containers = Object.fromEntries(services.map(({ name, container = '' }) => [name, container]))
    const variables = describeEnvironment(spec, facts)
    return {
      postgres: facts.postgres,
      facts,
      socket,
      variables,
      containers,
      events,
      isRestored,
      stop: () => infra.stop(),
    }
  }

  /** Completes a run that takes a snapshot; resolves to the name of its image. */
  async take(options: InfraOptions = {}): Promise<string> {
    const before = await this.snapshots()
    const run = await this.start(options)
    const newOne = async () => (await this.snapshots()).find((name) => !before.includes(name))
    await expect.poll(newOne, PATIENCE).toBeDefined()
    const name = await newOne()
    await run.stop()
    expect(run.events.filter(({ type }) => type.startsWith('snapshot'))).toEqual([
      { type: 'snapshot-taken', service: 'postgres', elapsedMs: expect.any(Number) },
    ])
    return name ?? ''
  }

  /** Names of the images with the project's snapshots; an image counts once it has its name. */
  async snapshots(): Promise<string[]> {
    const label = `vitest-infra.snapshot.project=${createHash('sha256').update(this.root).digest('hex').slice(0, 32)}`
    const images = await this.#dockerode.listImages({ filters: { label: [label] } })
    return images.flatMap(({ RepoTags }) => RepoTags ?? [])
  }

  /** The names of the project's containers, in any state. */
  async containers(): Promise<string[]> {
    const label = `vitest-infra.project=${this.root.split('/').at(-1)}`
    const containers = await this.#dockerode.listContainers({ all: true, filters: { label: [label] } })
    return containers.flatMap(({ Names }) => Names)
  }

  async removeContainers(): Promise<void> {
    const names = await this.containers()
    await Promise.all(
      names.map((name) =>
        this.#dockerode
          .getContainer(name.slice(1))
          .remove({ force: true, v: true })
          .catch(() => {}),
      ),
    )
  }

  /** Replaces a snapshot by an image in which a script was run. */
  async damage(snapshot: string, script: string): Promise<void> {
    const container = await this.#dockerode.createContainer({ Image: snapshot, Entrypoint: ['sh', '-c', script] })
    try {
      await container.start()
      expect(await container.wait()).toMatchObject({ StatusCode: 0 })
      const [repo, tag] = snapshot.split(':')
      await container.commit({ _query: { container: container.id, repo, tag }, _body: {} })
    } finally {
      await container.remove({ v: true })
    }
  }
}

/** A test function whose tests share one project, so that a server of one test serves the next. */
export function testsOfOneProject(files: Readonly<Record<string, string>> = {}) {
  // oxlint-disable-next-line no-empty-pattern -- Vitest requires a pattern, and this fixture needs no other fixture.
  return test.extend('project', { scope: 'file' }, async ({}, { onCleanup }) => {
    const project = await Project.open(files)
    onCleanup(() => project.remove())
    return project
  })
}

/** The first column of a query's rows. */
export async function ask(address: PostgresFacts, query: string): Promise<unknown[]> {
  const client = new pg.Client({ ...address })
  await client.connect()
  try {
    const { rows } = await client.query({ text: query, rowMode: 'array' })
    return rows.map(([first]: unknown[]) => first)
  } finally {
    await client.end()
  }
}

export interface CliOutcome {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number
}

/** Runs the built command line. */
export async function runCli(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliOutcome> {
  const cli = join(import.meta.dirname, '../../dist/cli.js')
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], { env: { ...process.env, ...env } }, (error, stdout, stderr) =>
      resolve({ stdout, stderr, exitCode: error === null ? 0 : Number(error.code) }),
    )
  })
}
