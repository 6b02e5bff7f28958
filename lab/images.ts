import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'

import { versionOf } from './apt.ts'
import type { DockerApi } from './docker-api.ts'
import type { Lab } from './lab.ts'
import { LabError, reasonOf } from './report.ts'
import { buildRootfs, downloadPackages, SCRIPTS } from './rootfs.ts'
import { run } from './run.ts'
import type { StandIn } from './stand-ins.ts'

export const STAND_IN_LABEL = 'vitest-infra.stand-in'
const RECIPE_LABEL = 'vitest-infra.stand-in.recipe'

export function downloadStandIns(lab: Lab, standIns: readonly StandIn[]): Promise<void> {
  return downloadPackages(
    lab,
    standIns.map(({ rootfs }) => rootfs),
  )
}

/** Builds a stand-in; reuses the file system of an earlier run.\n\n@throws LabError with the engine's reason. */
export async function buildStandIn(lab: Lab, api: DockerApi, standIn: StandIn): Promise<void> {
  const recipe = await recipeOf(standIn)
  const rootfs = await ensureRootfs(lab, standIn, recipe)
  const before = await api.findImage(standIn.image)
  try {
    await assemble(lab, api, standIn, { ...rootfs, recipe })
  } catch (error) {
    lab.signal.throwIfAborted()
    throw new LabError(
      `Cannot build "${standIn.image}": the engine says "${reasonOf(error)}"`,
      `If its data was touched: npm run -s lab -- down, remove ${lab.layout.data}, run the lab again`,
      { cause: error },
    )
  }
  // The one that has lost its name, unless a container still needs it.
  if (before !== undefined) await api.removeImage(before.Id).catch(() => {})
}

/** Imports the file system, then puts the Dockerfile's settings on top: older engines cannot import with all of them. */
async function assemble(
  lab: Lab,
  api: DockerApi,
  standIn: StandIn,
  { tar, version, recipe }: PackedRootfs & { readonly recipe: string },
): Promise<void> {
  const { signal } = lab
  await api.buildImage(await packDockerfile(lab, standIn.dockerfile), {
    tag: standIn.image,
    dockerfile: standIn.dockerfile,
    buildArgs: { ROOTFS: await api.importImage(createReadStream(tar), signal), VERSION: version },
    labels: labelsOf(standIn, recipe, version),
    signal,
  })
}

/** Whether the image is a stand-in that this version of the lab would build differently. */
export async function isOutdated(standIn: StandIn, labels: Readonly<Record<string, string>>): Promise<boolean> {
  return labels[STAND_IN_LABEL] === 'true' && labels[RECIPE_LABEL] !== (await recipeOf(standIn))
}

interface PackedRootfs {
  readonly tar: string
  readonly version: string
}

async function ensureRootfs(lab: Lab, standIn: StandIn, recipe: string): Promise<PackedRootfs> {
  const name = standIn.image.replaceAll(/[/:]/g, '_')
  const tar = join(lab.layout.images, `${name}.${recipe}.tar`)
  const versionFile = `${tar}.version`
  if (!existsSync(tar) || !existsSync(versionFile)) {
    await removeOld(lab.layout.images, `${name}.`)
    const debs = await buildRootfs(lab, standIn.rootfs, tar)
    await writeFile(versionFile, versionOf(debs, standIn.server))
  }
  return { tar, version: await readFile(versionFile, 'utf8') }
}

async function removeOld(folder: string, prefix: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  const old = (await readdir(folder)).filter((name) => name.startsWith(prefix))
  for (const name of old) await rm(join(folder, name), { recursive: true })
}

async function packDockerfile(lab: Lab, dockerfile: string): Promise<Readable> {
  const log = join(lab.layout.logs, 'images.log')
  const tar = await run('tar', ['-c', '-C', SCRIPTS, dockerfile], { log, signal: lab.signal })
  return Readable.from([Buffer.from(tar)])
}

function labelsOf({ image, title }: StandIn, recipe: string, version: string): Record<string, string> {
  return {
    [STAND_IN_LABEL]: 'true',
    [RECIPE_LABEL]: recipe,
    'org.opencontainers.image.title': `${title} (stand-in)`,
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.description': `A stand-in for ${image}, made of Debian packages by vitest-infra's lab. It is not the official image.`,
  }
}

async function recipeOf({ rootfs, dockerfile }: StandIn): Promise<string> {
  const code = ['stand-ins.ts', 'rootfs.ts'].map((name) => join(import.meta.dirname, name))
  const parts = [...Object.values(rootfs.scripts), dockerfile].map((name) => join(SCRIPTS, name))
  const hash = createHash('sha256')
  for (const file of [...code, ...parts]) hash.update(await readFile(file))
  return hash.digest('hex').slice(0, 12)
}
