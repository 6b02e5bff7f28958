import type { EngineApi } from '../engine/engine-api.ts'
import { findPlace, isOwnerGone, OUTLIVED_PLACE_LABEL, PLACE_LABEL } from './owner.ts'

/**
 * Removes containers that runs left when they died, such as those that were created and not yet started. Only those of
 * runs on this machine, because only there we can tell whether a run's process is alive. Of containers that may outlive
 * their run, only those that never ran.
 */
export async function sweep(api: EngineApi, signal?: AbortSignal): Promise<void> {
  const place = await findPlace()
  if (place === undefined) {
    return
  }
  const [own, outlived] = await Promise.all([
    api.listContainers({ [PLACE_LABEL]: place }, signal),
    api.listContainers({ [OUTLIVED_PLACE_LABEL]: place }, signal),
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
