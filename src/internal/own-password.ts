import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const FILE = 'password'
/** 128 random bits, and no character that a URL or a shell reads in another way. */
const PASSWORD = /^[0-9a-f]{32}$/
const PASSWORD_BYTES = 16
/** Windows keeps what is in a user's profile from others, and knows no such bits. */
const OPEN_TO_OTHERS = 0o077

/** By folder: all that a process asks for agrees, whatever becomes of the file meanwhile. */
const passwords = new Map<string, string>()

/**
 * A random password that only this user of this machine knows. It stays the same, so that servers, snapshots and data of
 * earlier runs can be used again: one that is drawn anew for each run would have to be set in them at every start, and
 * until then they would answer to one that is known.
 *
 * @param folder where it is kept, readable by its owner only; where that cannot be written, it lasts as long as this
 *   process
 */
export function ownPassword(folder: string): string {
  const password = passwords.get(folder) ?? readPassword(join(folder, FILE)) ?? createPassword(folder)
  passwords.set(folder, password)
  return password
}

function readPassword(path: string): string | undefined {
  try {
    const isOpen = process.platform !== 'win32' && (statSync(path).mode & OPEN_TO_OTHERS) !== 0
    const text = readFileSync(path, 'utf8')
    return !isOpen && PASSWORD.test(text) ? text : undefined
  } catch {
    return undefined
  }
}

function createPassword(folder: string): string {
  const password = randomBytes(PASSWORD_BYTES).toString('hex')
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    keepWhole(join(folder, FILE), password)
  } catch {
    // It is as good; what a later run would use again is made anew by it.
  }
  return password
}

/** Atomic: a reader finds all of it, or nothing. */
function keepWhole(path: string, text: string): void {
  const part = `${path}.${randomBytes(4).toString('hex')}`
  try {
    writeFileSync(part, text, { mode: 0o600, flag: 'wx' })
    renameSync(part, path)
  } catch (error) {
    rmSync(part, { force: true })
    throw error
  }
}
