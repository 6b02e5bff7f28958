import { LABEL } from '../../../internal/names.ts'
import type { EngineApi } from '../engine/engine-api.ts'
import { findPlace, isOwnerGone } from './owner.ts'

/**
 * Removes containers of runs that have died, including those that were created and not yet started. It considers only
 * runs on this machine, because only their processes can be checked. Of the containers that may outlive their run, it
 * removes only those that never ran.
 */
export async function sweep(api: EngineApi, signal?: AbortSignal): Promise<void> {
  const place = await findPlace()
  if (place === undefined) {
    return
  }
  const [own, outlived] = await Promise.all([
    api.listContainers({ [LABEL.ownerPlace]: place }, signal),
    api.listContainers({ [LABEL.outlivedOwnerPlace]: place }, signal),
  ])
  const neverRan = outlived.filter(({ State }) => State === 'created')
  await Promise.all(
    [...own, ...neverRan].map(async ({ Id, Labels }) => {
      if (await isOwnerGone(Labels)) {
        await api.removeContainer(Id, signal)
      }
    }),
  )
}
