import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'

/** A socket's path may have 107 bytes; the engine appends up to 37 to the folder's path. */
const RUN_FOLDER_LIMIT = 68

/** The paths of one clone's lab: in its `.lab/`, except sockets whose paths would be too long there. */
export interface Layout {
  /** The clone. */
  readonly root: string
  readonly lab: string
  /** Ten characters that name this clone on a machine that has several. */
  readonly id: string
  readonly apt: string
  readonly engines: string
  readonly data: string
  readonly images: string
  /** A redis-server of this machine's own kind. */
  readonly redis: string
  readonly logs: string
  readonly bin: string
  readonly dockerConfig: string
  /** Sockets, process ids and mounts of the running engine. Removed when it stops. */
  readonly run: string
  readonly socket: string
  /** Says that the engine is up, and which one it is. */
  readonly engineRecord: string
  /** Exists once a set-up has completed. Removed with the data. */
  readonly setUpMark: string
  readonly networkRecord: string
  readonly registryRecord: string
}

export function resolveLayout(root: string = dirname(import.meta.dirname)): Layout {
  const lab = join(root, '.lab')
  const id = createHash('sha256').update(root).digest('hex').slice(0, 10)
  const run = resolveRunFolder(lab, id)
  return Object.freeze({
    root,
    lab,
    id,
    apt: join(lab, 'apt'),
    engines: join(lab, 'engine'),
    data: join(lab, 'data'),
    images: join(lab, 'images'),
    redis: join(lab, 'redis'),
    logs: join(lab, 'log'),
    bin: join(lab, 'bin'),
    dockerConfig: join(lab, 'docker-config'),
    run,
    socket: join(run, 'docker.sock'),
    engineRecord: join(run, 'engine.json'),
    setUpMark: join(lab, 'data', 'set-up'),
    networkRecord: join(lab, 'network.json'),
    registryRecord: join(lab, 'registry.json'),
  })
}

function resolveRunFolder(lab: string, id: string): string {
  const run = join(lab, 'run')
  return Buffer.byteLength(run) <= RUN_FOLDER_LIMIT ? run : `/tmp/vitest-infra-lab-${id}`
}
