import { chmod, lstat, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { EngineFiles } from './engine-packages.ts'
import type { Lab } from './lab.ts'
import type { LabNetwork } from './network.ts'
import { LabError } from './report.ts'

/**
 * Creates the folder for sockets, which other users cannot read.
 *
 * @throws LabError when another user created it, which is possible in /tmp.
 */
export async function createRunFolder({ layout }: Lab): Promise<void> {
  await mkdir(layout.run, { recursive: true, mode: 0o700 })
  const facts = await lstat(layout.run)
  if (facts.isDirectory() && facts.uid === process.getuid?.()) return chmod(layout.run, 0o700)
  throw new LabError(
    `Cannot use the folder "${layout.run}" for the engine's sockets: it belongs to user ${facts.uid}`,
    'Remove it, or clone this repository to a shorter path',
  )
}

export interface EngineConfig {
  readonly containerd: string
  readonly containerdSocket: string
  readonly dockerd: string
}

export async function writeEngineConfig(lab: Lab, files: EngineFiles, network: LabNetwork): Promise<EngineConfig> {
  const data = join(lab.layout.data, files.variant)
  await mkdir(data, { recursive: true, mode: 0o711 })
  const containerdSocket = join(lab.layout.run, 'containerd.sock')
  const containerd = join(lab.layout.run, 'containerd.toml')
  // A separate containerd: dockerd would otherwise use the system's, in which another engine keeps its containers.
  await writeFile(
    containerd,
    [
      'version = 2',
      `root = ${JSON.stringify(join(data, 'containerd'))}`,
      `state = ${JSON.stringify(join(lab.layout.run, 'containerd'))}`,
      'disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]',
      '[grpc]',
      `address = ${JSON.stringify(containerdSocket)}`,
      '',
    ].join('\n'),
  )
  const dockerd = join(lab.layout.run, 'daemon.json')
  const settings = {
    hosts: [`unix://${lab.layout.socket}`],
    group: 'root',
    'data-root': join(data, 'docker'),
    'exec-root': join(lab.layout.run, 'docker'),
    pidfile: join(lab.layout.run, 'docker.pid'),
    containerd: containerdSocket,
    bridge: network.bridge,
    'default-address-pools': [{ base: network.pool, size: 26 }],
    iptables: false,
    ip6tables: false,
    'userland-proxy-path': join(files.root, 'usr/sbin/docker-proxy'),
    'shutdown-timeout': 5,
  }
  await writeFile(dockerd, JSON.stringify(settings, undefined, 2))
  return { containerd, containerdSocket, dockerd }
}
