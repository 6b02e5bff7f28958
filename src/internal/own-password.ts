import { createHmac, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const FILE = 'secret'
const SECRET = /^[0-9a-f]{64}$/
/** As long as 128 random bits, and without a character that a URL or a shell reads in another way. */
const PASSWORD_LENGTH = 32
/** Windows keeps what is in a user's profile from others, and knows no such bits. */
const OPEN_TO_OTHERS = 0o077

/** By folder: all that a process asks for agrees, whatever becomes of the file meanwhile. */
const secrets = new Map<string, string>()

/**
 * A password that only this user of this machine can work out. It stays the same for a project, so that servers,
 * snapshots and data of earlier runs can be used again; one that is drawn anew for each run would have to be set in them
 * at every start, and until then they would answer to one that is known.
 *
 * @param folder where the secret that it is made from is kept, readable by its owner only; where that cannot be written,
 *   the secret lasts as long as this process
 */
export function ownPassword(root: string, folder: string): string {
  const secret = secrets.get(folder) ?? readSecret(join(folder, FILE)) ?? createSecret(folder)
  secrets.set(folder, secret)
  return createHmac('sha256', secret).update(root).digest('hex').slice(0, PASSWORD_LENGTH)
}

function readSecret(path: string): string | undefined {
  try {
    const isOpen = process.platform !== 'win32' && (statSync(path).mode & OPEN_TO_OTHERS) !== 0
    const text = readFileSync(path, 'utf8')
    return !isOpen && SECRET.test(text) ? text : undefined
  } catch {
    return undefined
  }
}

function createSecret(folder: string): string {
  const secret = randomBytes(32).toString('hex')
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    keepWhole(join(folder, FILE), secret)
  } catch {
    // The password is as good; what a later run would use again is made anew by it.
  }
  return secret
}

/** Who reads it meanwhile finds all of it, or none. */
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
