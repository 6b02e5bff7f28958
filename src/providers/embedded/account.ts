import { chown, mkdir, readFile, stat } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { dirname } from 'node:path'
import type { Account } from './supervisor-protocol.ts'

/** Unprivileged accounts that systems may have, in order of preference. */
const UNPRIVILEGED = ['postgres', 'nobody']

/**
 * Resolves to the account that the servers run as; undefined for the account of this process. If PostgreSQL cannot run
 * under any account, resolves to a text that says why.
 */
export async function findAccount(): Promise<Account | undefined | string> {
  const userId = process.getuid?.()
  if (userId !== 0) {
    return userId === undefined || hasName()
      ? undefined
      : `user ${userId} has no name on this system, which PostgreSQL asks for`
  }
  const lines = (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n').map((line) => line.split(':'))
  const found = UNPRIVILEGED.flatMap((wanted) => lines.filter(([name]) => name === wanted))[0]
  const [uid, gid] = [Number(found?.[2]), Number(found?.[3])]
  return uid > 0 && gid > 0
    ? { uid, gid }
    : 'PostgreSQL refuses to run as root, and there is neither a user "postgres" nor a user "nobody"'
}

function hasName(): boolean {
  try {
    return userInfo().username !== ''
  } catch {
    return false
  }
}

/**
 * Resolves to whether an account can access a file or folder. Root's home, for example, is closed to other accounts.
 */
export async function isReachable(path: string, account: Account | undefined): Promise<boolean> {
  if (account === undefined || path === dirname(path)) {
    return true
  }
  const { mode, uid, gid } = await stat(path)
  // The lowest of three permission bits allows an account to enter a folder or to execute a file.
  const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0
  return ((mode >> shift) & 1) === 1 && isReachable(dirname(path), account)
}

/** Creates a folder that only one account can read: the given one, or the account of this process. */
export async function createOwned(folder: string, account: Account | undefined): Promise<void> {
  await mkdir(folder, { mode: 0o700 })
  await giveTo(folder, account)
}

export async function giveTo(path: string, account: Account | undefined): Promise<void> {
  if (account) {
    await chown(path, account.uid, account.gid)
  }
}
