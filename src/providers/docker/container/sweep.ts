import { EngineApi } from '../engine/engine-api.ts'
import type { Engine } from '../engine/find-engine.ts'
import { findPlace, isOwnerGone, OUTLIVED_PLACE_LABEL, PLACE_LABEL } from './owner.ts'
import { removeContainer } from './remove-container.ts'

/**
 * Removes the containers of runs that have ended without them, such as those that were created and not yet started when
 * their run was killed. Only of runs on this machine, since only their processes can be asked whether they live; and not
 * those that are to outlive their run, if they ever ran.
 */
export async function sweep(engine: Engine, signal?: AbortSignal): Promise<void> {
  const place = await findPlace()
  if (place === undefined) {
    return
  }
  const api = new EngineApi(engine)
  const [own, outlived] = await Promise.all([
    api.listContainers({ [PLACE_LABEL]: place }, signal),
    api.listContainers({ [OUTLIVED_PLACE_LABEL]: place }, signal),
  ])
  const neverRan = outlived.filter(({ State }) => State === 'created')
  await Promise.all(
    [...own, ...neverRan].map(async ({ Id, Labels }) => {
      if (await isOwnerGone(Labels)) {
        await removeContainer(engine, Id, signal)
      }
    }),
  )
}
