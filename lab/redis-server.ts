import { existsSync } from 'node:fs'
import { chmod, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'

import { createApt, unpack } from './apt.ts'
import { quote } from './engine-packages.ts'
import type { Lab } from './lab.ts'
import { withLock } from './lock.ts'

/** From Debian's testing suite, like that of the image, with all libraries and the dynamic linker. */
const PACKAGES = ['redis-server']
const BASE = /^(?:lib|redis|zlib)/

/** The PATH in which there is a redis-server, for tests of local processes: the machine's own, else one of Debian's. */
export async function pathWithRedis(lab: Lab): Promise<{ readonly PATH?: string }> {
  const path = lab.environment['PATH'] ?? ''
  const isThere = path.split(delimiter).some((folder) => existsSync(join(folder, 'redis-server')))
  if (isThere || !existsSync('/usr/bin/dpkg-deb') || !existsSync('/usr/bin/apt-get')) return {}
  const bin = join(lab.layout.redis, 'bin')
  if (!existsSync(join(bin, 'redis-server'))) await withLock(lab, () => install(lab))
  return { PATH: [path, bin].join(delimiter) }
}

async function install(lab: Lab): Promise<void> {
  await lab.report.step('unpacking a redis-server of Debian', async () => {
    const selection = { packages: PACKAGES, dependencies: (name: string) => BASE.test(name) }
    const debs = await createApt(lab, 'forky').fetch('redis-server', selection)
    const part = `${lab.layout.redis}.part`
    await rm(part, { recursive: true, force: true })
    await unpack(lab, debs, part)
    await mkdir(join(part, 'bin'))
    await writeFile(join(part, 'bin/redis-server'), await renderProgram(part, lab.layout.redis))
    await chmod(join(part, 'bin/redis-server'), 0o755)
    await rm(lab.layout.redis, { recursive: true, force: true })
    await rename(part, lab.layout.redis)
  })
}

/** Runs with its own dynamic linker: the machine's C library may be older than the one it was built with. */
async function renderProgram(part: string, root: string): Promise<string> {
  const triplet = (await readdir(join(part, 'usr/lib'))).find((name) => name.endsWith('-linux-gnu')) ?? ''
  const libraries = join(root, 'usr/lib', triplet)
  const linker = (await readdir(join(part, 'usr/lib', triplet))).find((name) => name.startsWith('ld-linux')) ?? ''
  const program = join(root, 'usr/bin/redis-server')
  return `#!/bin/sh\nexec ${quote(join(libraries, linker))} --library-path ${quote(libraries)} ${quote(program)} "$@"\n`
}
