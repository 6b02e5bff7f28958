import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const FILE = 'password'
/** 128 random bits in hexadecimal, which needs no escaping in a URL or a shell. */
const PASSWORD = /^[0-9a-f]{32}$/
const PASSWORD_BYTES = 16
/** Permission bits of the group and of other users. Not used on Windows, where a user's profile is private. */
const OPEN_TO_OTHERS = 0o077

/** Caches passwords by folder, so that a process keeps using the same one even if the file changes. */
const passwords = new Map<string, string>()

/**
 * Returns a random password that only this user knows. It is stored, so that a run can reuse the servers, snapshots and
 * data of earlier runs. Otherwise each start would have to set a new password in them, and until then they would accept
 * a known one.
 *
 * @param folder the folder in which the password is stored, readable by its owner only. If the folder is not writable,
 * the password lasts as long as this process.
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
    writeAtomically(join(folder, FILE), password)
  } catch {
    // The password also works without a file. A later run then rebuilds what it cannot reuse.
  }
  return password
}

/** Writes a file atomically: a reader sees the complete file or none. */
function writeAtomically(path: string, text: string): void {
  const part = `${path}.${randomBytes(4).toString('hex')}`
  try {
    writeFileSync(part, text, { mode: 0o600, flag: 'wx' })
    renameSync(part, path)
  } catch (error) {
    rmSync(part, { force: true })
    throw error
  }
}
