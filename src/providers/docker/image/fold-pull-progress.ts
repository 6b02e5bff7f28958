import type { PullProgress } from '../../../report/events.ts'

/** One event in an engine's stream about the progress of a pull. */
export interface PullEvent {
  readonly id?: string
  readonly status?: string
  readonly progressDetail?: { readonly current?: number; readonly total?: number; readonly units?: string }
  readonly error?: string
  readonly errorDetail?: { readonly message?: string }
}

interface Layer {
  readonly done: boolean
  readonly bytesDone: number
  readonly bytesTotal: number
}

/** The layers of an image that the engine has reported so far, by id. */
export type PullState = ReadonlyMap<string, Layer>

const UNKNOWN_LAYER: Layer = { done: false, bytesDone: 0, bytesTotal: 0 }

/** Returns the state after one more event; the same object if the event does not concern a layer. */
export function foldPullProgress(state: PullState, event: PullEvent): PullState {
  const { id, status = '' } = event
  const next = id === undefined ? undefined : nextLayer(state.get(id) ?? UNKNOWN_LAYER, status, event.progressDetail)
  return id === undefined || next === undefined ? state : new Map(state).set(id, next)
}

export function totalPullProgress(image: string, state: PullState): PullProgress {
  const layers = [...state.values()]
  return {
    image,
    layersDone: layers.filter((layer) => layer.done).length,
    layersTotal: layers.length,
    bytesDone: layers.reduce((sum, layer) => sum + layer.bytesDone, 0),
    bytesTotal: layers.reduce((sum, layer) => sum + layer.bytesTotal, 0),
  }
}

function nextLayer(layer: Layer, status: string, detail: PullEvent['progressDetail']): Layer | undefined {
  switch (status) {
    case 'Pulling fs layer':
    case 'Waiting':
      return layer
    case 'Downloading':
      return { ...layer, bytesDone: detail?.current ?? layer.bytesDone, bytesTotal: detail?.total ?? layer.bytesTotal }
    case 'Verifying Checksum':
    case 'Download complete':
    case 'Extracting':
      // The numbers of these events start again at 0, and may be seconds.
      return { ...layer, bytesDone: layer.bytesTotal }
    case 'Pull complete':
    case 'Already exists':
      return { ...layer, bytesDone: layer.bytesTotal, done: true }
    default:
      // In "Pulling from library/redis", the id is the image's tag.
      return undefined
  }
}
