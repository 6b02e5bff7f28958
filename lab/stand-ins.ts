import { copyFile, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { RootfsRecipe } from './rootfs.ts'

/** An image that the project's tests use, and how to build a similar one from Debian packages. */
export interface StandIn {
  readonly image: string
  readonly title: string
  /** The package whose version is the server's. */
  readonly server: string
  readonly rootfs: RootfsRecipe
  /** The rest of the image, in `lab/image/`. */
  readonly dockerfile: string
}

const BASE_PACKAGES = ['base-files', 'busybox', 'libc6', 'libc-bin', 'tzdata', 'gosu']
const POSTGRES_HOME = '/var/lib/postgresql'
const POSTGRES_PROGRAMS = '/usr/lib/postgresql/18/bin'

const POSTGRES: StandIn = {
  image: 'postgres:18-alpine',
  title: 'PostgreSQL',
  server: 'postgresql-18',
  rootfs: {
    packages: { postgres: [...BASE_PACKAGES, 'postgresql-18', 'postgresql-client-18', 'zstd', 'libnss-wrapper'] },
    programs: ['gosu', 'zstd', 'getent'],
    links: { gosu: '/usr/sbin/gosu' },
    account: { name: 'postgres', uid: 70, gid: 70, home: POSTGRES_HOME },
    folders: [
      { path: 'docker-entrypoint-initdb.d', mode: 0o755, owned: false },
      { path: 'var/lib/postgresql', mode: 0o1777, owned: true },
      { path: 'run/postgresql', mode: 0o3777, owned: true },
    ],
    scripts: { 'usr/local/bin/docker-entrypoint.sh': 'postgres-entrypoint.sh' },
    finish: finishPostgres,
  },
  dockerfile: 'postgres.Dockerfile',
}

const PGVECTOR: StandIn = {
  ...POSTGRES,
  image: 'pgvector/pgvector:pg18',
  title: 'PostgreSQL with pgvector',
  rootfs: { ...POSTGRES.rootfs, packages: { ...POSTGRES.rootfs.packages, pgvector: ['postgresql-18-pgvector'] } },
}

const REDIS: StandIn = {
  image: 'redis:8-alpine',
  title: 'Redis',
  server: 'redis-server',
  rootfs: {
    packages: { redis: [...BASE_PACKAGES, 'redis-server', 'redis-tools'] },
    programs: [
      'gosu',
      'getent',
      'redis-server',
      'redis-cli',
      'redis-sentinel',
      'redis-benchmark',
      'redis-check-aof',
      'redis-check-rdb',
    ],
    links: { gosu: '/usr/sbin/gosu' },
    account: { name: 'redis', uid: 999, gid: 1000, home: '/home/redis' },
    folders: [
      { path: 'data', mode: 0o755, owned: true },
      { path: 'usr/local/lib/redis/modules', mode: 0o755, owned: false },
    ],
    scripts: {
      'usr/local/bin/docker-entrypoint.sh': 'redis-entrypoint.sh',
      'usr/local/bin/redis-server': 'redis-server.sh',
    },
  },
  dockerfile: 'redis.Dockerfile',
}

export const STAND_INS: readonly StandIn[] = [POSTGRES, REDIS, PGVECTOR]

async function finishPostgres(root: string): Promise<void> {
  for (const program of await readdir(join(root, POSTGRES_PROGRAMS)))
    await symlink(join(POSTGRES_PROGRAMS, program), join(root, 'usr/local/bin', program))
  await listenEverywhere(join(root, 'usr/share/postgresql/18/postgresql.conf.sample'))
  // musl accepts any locale's name and sorts by code point, as glibc does with C.utf8. With this link, en_US.utf8 gives
  // the same ORDER BY as on Alpine.
  await symlink('C.utf8', join(root, 'usr/lib/locale/en_US.utf8'))
  const triplet = (await readdir(join(root, 'usr/lib'))).find((name) => name.endsWith('-linux-gnu')) ?? ''
  await symlink(join('/usr/lib', triplet, 'libnss_wrapper.so'), join(root, 'usr/lib/libnss_wrapper.so'))
}

async function listenEverywhere(sample: string): Promise<void> {
  const text = await readFile(sample, 'utf8')
  const changed = text.replace(/^#?listen_addresses\s*=\s*'[^']*'/m, "listen_addresses = '*'")
  if (changed === text) throw new Error(`no listen_addresses in ${sample}`)
  await copyFile(sample, `${sample}.orig`)
  await writeFile(`${sample}.part`, changed)
  await rename(`${sample}.part`, sample)
}
