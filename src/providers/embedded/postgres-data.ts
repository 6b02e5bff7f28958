import { mkdir, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { digest } from '../../internal/digest.ts'
import { createOwned, giveTo } from './account.ts'
import { copyFolder } from './copy-folder.ts'
import type { Supervisor } from './supervisor.ts'
import type { Account } from './supervisor-protocol.ts'
import { runToEnd, type ProgramPlace } from './run-to-end.ts'
import { pathExists } from '../../internal/path-exists.ts'

/** The version of cached data, which is part of the cache key. It changes when the data is created in another way. */
const FORMAT = 1
const UNUSED_MS = 30 * 24 * 60 * 60_000

/**
 * Arguments of initdb that sort text by code points, as in the image (musl), whatever the locale of this machine. They
 * are left out if the user passes any argument for the locale or the encoding.
 */
const LOCALE = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
const CHOOSES_LOCALE = /^(?:--(?:encoding|locale|lc-|no-locale|icu|builtin)|-E)/

export interface PostgresDataOptions {
  readonly supervisor: Supervisor
  readonly platform: NodeJS.Platform
  /** Name and version of the package that contains the binaries. */
  readonly origin: string
  readonly binaries: string
  readonly account: Account | undefined
  /** The cache folder, which contains the initialised data directories. */
  readonly cache: string
  /** The server's environment variables, with the names that the image uses. */
  readonly variables: Readonly<Record<string, string>>
  /** Environment variables that programs of this machine need. */
  readonly environment: Readonly<Record<string, string>>
  /** Command-line settings of every server that uses the data, also while the data is created. */
  readonly settings: readonly string[]
}

/**
 * Data directories for one user, password, database and set of initdb arguments. They are created once and then copied.
 */
export class PostgresData {
  readonly #options: PostgresDataOptions
  readonly #cached: string

  constructor(options: PostgresDataOptions) {
    const { origin, account, variables, settings, cache } = options
    const inputs = JSON.stringify([FORMAT, origin, account?.uid ?? '', settings, initdbArguments(variables), variables])
    this.#options = options
    this.#cached = join(cache, 'postgres', digest(inputs).slice(0, 32))
  }

  /** Creates and fills a data folder. Resolves to `'cached'` if the data is a cached copy of an earlier run. */
  async fill(folder: string): Promise<'new' | 'cached'> {
    if (await this.#copyCached(folder)) {
      return 'cached'
    }
    await this.#initialise(folder)
    // A failure is ignored: it only makes the next start slower.
    await this.#keep(folder).catch(() => {})
    return 'new'
  }

  /**
   * Copies the data folder of a frozen server and lets the copy recover, so that further copies need no recovery. All
   * its files are from the same moment, as after a power cut, because the file system has everything that was written.
   *
   * pg_basebackup, which is part of the image, is not among the binaries.
   */
  async copyLive(folder: string, copy: string, onCopied: () => Promise<void>): Promise<void> {
    const { account, settings } = this.#options
    const place = { ...this.#place(copy), account }
    await copyFolder(folder, copy, this.#place(copy))
    await onCopied()
    await rm(join(copy, 'postmaster.pid'), { force: true })
    await runToEnd(
      this.#program('postgres'),
      ['--single', '-F', '-c', 'wal_recycle=off', ...settings, '-D', copy, 'template1'],
      { ...place, input: '' },
    )
  }

  async discardCached(): Promise<void> {
    await rm(this.#cached, { recursive: true, force: true })
  }

  async #copyCached(folder: string): Promise<boolean> {
    if (!(await pathExists(this.#cached))) {
      return false
    }
    try {
      await copyFolder(this.#cached, folder, this.#place(folder))
      const now = new Date()
      await utimes(this.#cached, now, now).catch(() => {})
      return true
    } catch {
      await this.discardCached().catch(() => {})
      await rm(folder, { recursive: true, force: true })
      return false
    }
  }

  async #initialise(folder: string): Promise<void> {
    const { account, variables, settings } = this.#options
    const { POSTGRES_USER: user = '', POSTGRES_PASSWORD: password = '', POSTGRES_DB: database = '' } = variables
    const place = { ...this.#place(folder), account }
    const passwordFile = `${folder}.password`
    await createOwned(folder, account)
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 })
    await giveTo(passwordFile, account)
    const access = ['-U', user, '--pwfile', passwordFile, '--auth=scram-sha-256']
    await runToEnd(
      this.#program('initdb'),
      ['-D', folder, ...access, ...settings, ...initdbArguments(variables)],
      place,
    )
    await rm(passwordFile)
    if (database !== 'postgres') {
      // The database is created before any server starts, so that copies contain it, too.
      const input = `CREATE DATABASE "${database.replaceAll('"', '""')}";\n\n`
      await runToEnd(
        this.#program('postgres'),
        ['--single', '-j', '-F', '-c', 'exit_on_error=on', ...settings, '-D', folder, 'postgres'],
        { ...place, input },
      )
    }
  }

  /**
   * Adds a copy of the folder to the cache. The copy is renamed into place, so that no run finds a partial one. If
   * several runs do this, the first one wins.
   */
  async #keep(folder: string): Promise<void> {
    const part = `${this.#cached}.${Math.random().toString(36).slice(2)}`
    await mkdir(dirname(this.#cached), { recursive: true, mode: 0o700 })
    try {
      await copyFolder(folder, part, this.#place(folder))
      await rename(part, this.#cached)
    } finally {
      await rm(part, { recursive: true, force: true })
    }
    await removeUnused(dirname(this.#cached))
  }

  #program(name: string): string {
    const { binaries, platform } = this.#options
    return join(binaries, 'bin', platform === 'win32' ? `${name}.exe` : name)
  }

  #place(folder: string): ProgramPlace {
    const { supervisor, environment } = this.#options
    return { supervisor, environment, folder: dirname(folder), log: `${folder}.log` }
  }
}

function initdbArguments({ POSTGRES_INITDB_ARGS: text = '' }: Readonly<Record<string, string>>): readonly string[] {
  const words = [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map((match) => match.slice(1).join(''))
  return words.some((word) => CHOOSES_LOCALE.test(word)) ? words : [...LOCALE, ...words]
}

async function removeUnused(folder: string): Promise<void> {
  const names = await readdir(folder)
  await Promise.all(
    names.map(async (name) => {
      const { mtimeMs } = await stat(join(folder, name))
      if (Date.now() - mtimeMs > UNUSED_MS) {
        await rm(join(folder, name), { recursive: true, force: true })
      }
    }),
  )
}
