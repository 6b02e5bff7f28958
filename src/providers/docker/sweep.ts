import type { Dockerode } from './dockerode-types.ts'
import type { Engine } from './find-engine.ts'
import { SPEC_LABEL } from './kept-labels.ts'
import { findPlace, isOwnerGone, PLACE_LABEL } from './owner.ts'
import { removeContainer } from './remove-container.ts'

/**
 * Removes the containers of runs that have ended without them, such as those that were created and not yet started when
 * their run was killed. Only of runs on this machine, since only their processes can be asked whether they live; and not
 * those that are to outlive their run, if they ever ran.
 */
export async function sweep(dockerode: Dockerode, engine: Engine): Promise<void> {
  const place = await findPlace()
  if (place === undefined) {
    return
  }
  const filters = { label: [`${PLACE_LABEL}=${place}`] }
  const containers = await dockerode.listContainers({ all: true, filters })
  await Promise.all(
    containers.map(async ({ Id, Labels, State }) => {
      const isKept = Labels[SPEC_LABEL] !== undefined && State !== 'created'
      if (!isKept && (await isOwnerGone(Labels))) {
        await removeContainer(engine, Id)
      }
    }),
  )
}
