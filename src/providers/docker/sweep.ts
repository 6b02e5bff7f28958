import type { Dockerode } from './dockerode-types.ts'
import type { Engine } from './find-engine.ts'
import { findPlace, isOwnerGone, OUTLIVED_PLACE_LABEL, PLACE_LABEL } from './owner.ts'
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
  const labelled = (label: string) => ({ label: [`${label}=${place}`] })
  const lists = await Promise.all([
    dockerode.listContainers({ all: true, filters: labelled(PLACE_LABEL) }),
    dockerode.listContainers({ all: true, filters: { ...labelled(OUTLIVED_PLACE_LABEL), status: ['created'] } }),
  ])
  await Promise.all(
    lists.flat().map(async ({ Id, Labels }) => {
      if (await isOwnerGone(Labels)) {
        await removeContainer(engine, Id)
      }
    }),
  )
}
