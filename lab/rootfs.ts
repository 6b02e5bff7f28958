import { chmod, copyFile, mkdir, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import { createApt, unpack, type Deb, type PackageSelection } from './apt.ts'
import type { Lab } from './lab.ts'
import { LabError } from './report.ts'
import { run } from './run.ts'

/**
 * The root file system of a stand-in: unpacked Debian packages. No maintainer script runs, so no chroot or mount is
 * needed; the recipe has what the scripts would set up (accounts, links).
 */
export interface RootfsRecipe {
  /** Packages, whose libraries are included. Several sets, so that images can share a download. */
  readonly packages: Readonly<Record<string, readonly string[]>>
  /** Programs of the packages that stay; busybox has the rest, or the official image lacks them. */
  readonly programs: readonly string[]
  /** Links in `PATH` (in `/usr/local/bin`) to programs in other folders. */
  readonly links: Readonly<Record<string, string>>
  readonly account: Account
  /** Folders, with their modes. Those of the account belong to it in the image. */
  readonly folders: readonly Folder[]
  /** Files of `lab/image/`, by their path in the image. All are made executable. */
  readonly scripts: Readonly<Record<string, string>>
  readonly finish?: (root: string) => Promise<void>
}

interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
}

interface Folder {
  readonly path: string
  readonly mode: number
  readonly owned: boolean
}

export const SCRIPTS = join(import.meta.dirname, 'image')

/** Applets that Alpine's busybox lacks, or has with fewer features: no script may rely on them. */
const HIDDEN_APPLETS = new Set(
  `ar ascii blkdiscard cttyhack dpkg dpkg-deb fsfreeze ftpget ftpput getfattr httpd i2cdetect i2cdump i2cget i2cset
  i2ctransfer last linuxrc lsblk lsscsi mim nbd-client nuke resume rpm rpm2cpio run-init setpriv ssl_server
  start-stop-daemon sulogin svc svok taskset telnet tftp ts ubirename udhcpd uuidgen w`.split(/\s+/),
)

const BALLAST = [
  'usr/share/doc',
  'usr/share/man',
  'usr/share/locale',
  'usr/share/lintian',
  'usr/share/bug',
  'usr/share/info',
  'usr/share/initramfs-tools',
]

/** Builds the file system and packs it. The tar appears under its name only when it is whole. */
export async function buildRootfs(lab: Lab, recipe: RootfsRecipe, target: string): Promise<readonly Deb[]> {
  const debs = await readPackages(lab, recipe)
  const root = `${target}.root`
  await rm(root, { recursive: true, force: true })
  await unpack(lab, debs, root)
  await keepPrograms(root, recipe.programs)
  for (const path of BALLAST) await rm(join(root, path), { recursive: true, force: true })
  await linkApplets(lab, root)
  await linkPrograms(root, recipe.links)
  await writeAccounts(root, recipe.account)
  await makeFolders(root, recipe.folders)
  for (const [path, source] of Object.entries(recipe.scripts)) await installScript(root, path, source)
  await recipe.finish?.(root)
  await assertLibraries(lab, root)
  await pack(lab, root, recipe, target)
  await rm(root, { recursive: true, force: true })
  return debs
}

/** Downloads what the recipes need and earlier runs did not. One after the other: apt locks its lists. */
export async function downloadPackages(lab: Lab, recipes: readonly RootfsRecipe[]): Promise<void> {
  const apt = createApt(lab, 'forky')
  const sets = Object.entries(Object.assign({}, ...recipes.map(({ packages }) => packages)) as RootfsRecipe['packages'])
  const missing: [string, PackageSelection][] = []
  for (const [set, packages] of sets) {
    const selection = { packages, dependencies: isLibrary }
    if (!(await apt.isFetched(set, selection))) missing.push([set, selection])
  }
  if (missing.length === 0) return
  await lab.report.step(
    `downloading packages for the stand-ins (${missing.map(([set]) => set).join(', ')})`,
    async () => {
      for (const [set, selection] of missing) await apt.fetch(set, selection)
    },
  )
}

async function readPackages(lab: Lab, { packages }: RootfsRecipe): Promise<readonly Deb[]> {
  const apt = createApt(lab, 'forky')
  const debs: Deb[] = []
  for (const [set, names] of Object.entries(packages))
    debs.push(...(await apt.fetch(set, { packages: names, dependencies: isLibrary })))
  // base-files has the links from /bin to /usr/bin, which must exist before files are put there.
  return debs.toSorted((a, b) => Number(b.name === 'base-files') - Number(a.name === 'base-files'))
}

/** Of a server's dependencies, only the libraries are needed, not maintainer scripts and other programs. */
function isLibrary(name: string): boolean {
  if (name === 'zlib1g') return true
  return (
    name.startsWith('lib') &&
    !/^lib(debconfclient|pam-modules|perl|gdbm|semanage|sepol|proc2|ncurses|text-|json-perl|c-)/.test(name)
  )
}

async function keepPrograms(root: string, programs: readonly string[]): Promise<void> {
  for (const folder of ['usr/bin', 'usr/sbin']) {
    const names = await readdir(join(root, folder)).catch(() => [])
    const unwanted = names.filter((name) => !programs.includes(name) && name !== 'busybox')
    for (const name of unwanted) await rm(join(root, folder, name), { recursive: true })
  }
}

async function linkApplets(lab: Lab, root: string): Promise<void> {
  const loader = await findLoader(root)
  const list = await run(
    loader.path,
    ['--library-path', loader.libraries, join(root, 'usr/bin/busybox'), '--list'],
    logged(lab),
  )
  const applets = list.split('\n').filter((name) => name !== '' && name !== 'busybox' && !HIDDEN_APPLETS.has(name))
  for (const applet of applets) {
    await symlink('busybox', join(root, 'usr/bin', applet)).catch((error: unknown) => {
      // A retained program of the packages.
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    })
  }
}

async function linkPrograms(root: string, links: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(join(root, 'usr/local/bin'), { recursive: true })
  for (const [name, path] of Object.entries(links)) await symlink(path, join(root, 'usr/local/bin', name))
}

async function writeAccounts(root: string, { name, uid, gid, home }: Account): Promise<void> {
  await mkdir(join(root, 'etc'), { recursive: true })
  await writeFile(
    join(root, 'etc/passwd'),
    [
      'root:x:0:0:root:/root:/bin/sh',
      'nobody:x:65534:65534:nobody:/:/sbin/nologin',
      `${name}:x:${uid}:${gid}::${home}:/bin/sh`,
      '',
    ].join('\n'),
  )
  await writeFile(
    join(root, 'etc/group'),
    ['root:x:0:', 'tty:x:5:', 'nobody:x:65534:', `${name}:x:${gid}:`, ''].join('\n'),
  )
}

async function makeFolders(root: string, folders: readonly Folder[]): Promise<void> {
  await rm(join(root, 'var/run'), { recursive: true, force: true })
  await symlink('/run', join(root, 'var/run'))
  for (const { path, mode } of [...folders, { path: 'tmp', mode: 0o1777 }, { path: 'root', mode: 0o700 }]) {
    await mkdir(join(root, path), { recursive: true })
    // The umask restricts the mode of mkdir.
    await chmod(join(root, path), mode)
  }
}

async function installScript(root: string, path: string, source: string): Promise<void> {
  await mkdir(join(root, dirname(path)), { recursive: true })
  await copyFile(join(SCRIPTS, source), join(root, path))
  await chmod(join(root, path), 0o755)
}

/** Checks for missing libraries: otherwise a forgotten package only shows as a server that does not start. */
async function assertLibraries(lab: Lab, root: string): Promise<void> {
  const loader = await findLoader(root)
  const programs = await findPrograms(root)
  for (const program of programs) {
    const needed = await run(loader.path, ['--library-path', loader.libraries, '--list', program], logged(lab))
    // The loader also looks into this machine's own folders, which the image will not have.
    const missing = [...needed.matchAll(/^\s*(\S+) => (.+)/gm)]
      .filter(([, , path]) => !path?.startsWith(root))
      .map(([, name]) => name)
    if (missing.length > 0)
      throw new LabError(
        `Cannot build the stand-in: "${basename(program)}" lacks ${missing.join(', ')}`,
        'Add the package that has it to lab/stand-ins.ts',
      )
  }
}

async function findPrograms(root: string): Promise<readonly string[]> {
  const folders = ['usr/lib/postgresql/18/bin', 'usr/lib/postgresql/18/lib', 'usr/bin']
  const found: string[] = []
  for (const folder of folders) {
    const entries = await readdir(join(root, folder), { withFileTypes: true }).catch(() => [])
    found.push(...entries.filter((entry) => entry.isFile()).map((entry) => join(root, folder, entry.name)))
  }
  return found
}

async function findLoader(root: string): Promise<{ readonly path: string; readonly libraries: string }> {
  const triplet = (await readdir(join(root, 'usr/lib'))).find((name) => name.endsWith('-linux-gnu'))
  if (triplet === undefined)
    throw new LabError('Cannot build the stand-in: its libc is missing', 'Remove .lab/apt and run the lab again')
  const libraries = join(root, 'usr/lib', triplet)
  const loader = (await readdir(libraries)).find((name) => name.startsWith('ld-linux'))
  return { path: join(libraries, loader ?? 'ld-linux.so.2'), libraries }
}

async function pack(lab: Lab, root: string, { account, folders }: RootfsRecipe, target: string): Promise<void> {
  const part = `${target}.part`
  const owned = folders.filter((folder) => folder.owned).map((folder) => `./${folder.path}`)
  const common = ['--numeric-owner', '-C', root, '-f', part]
  const log = logged(lab)
  // tar sets the owners, so that the files need not belong to root on this machine.
  await run('tar', ['-c', '--owner=0', '--group=0', ...owned.map((path) => `--exclude=${path}`), ...common, '.'], log)
  if (owned.length > 0)
    await run('tar', ['-r', `--owner=${account.uid}`, `--group=${account.gid}`, ...common, ...owned], log)
  await rename(part, target)
}

function logged(lab: Lab): { readonly log: string; readonly signal: AbortSignal } {
  return { log: join(lab.layout.logs, 'images.log'), signal: lab.signal }
}
