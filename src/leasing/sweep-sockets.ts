import { once } from 'node:events'
import { readdir, rmdir, stat, unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { SOCKET, TEMPORARY_FOLDER } from '../internal/names.ts'

/** Minimum age of a socket that is removed. A live server, too, refuses connections between its bind and its listen. */
const YOUNGEST_MS = 10_000

/** Removes the sockets of killed runs with their folders. A socket is removed only if no process listens on it. */
export async function sweepSockets(parent: string): Promise<void> {
  const names = await readdir(parent)
  const folders = names.filter((name) => name.startsWith(TEMPORARY_FOLDER)).map((name) => join(parent, name))
  await Promise.all(folders.map((folder) => sweepFolder(folder).catch(() => {})))
}

async function sweepFolder(folder: string): Promise<void> {
  const socket = join(folder, SOCKET)
  const { mtimeMs } = await stat(socket)
  if (Date.now() - mtimeMs > YOUNGEST_MS && (await isDead(socket))) {
    await unlink(socket)
    // Intentionally fails if the folder contains anything else.
    await rmdir(folder)
  }
}

/** Whether no process has the socket open. The kernel refuses a connection only in that case. */
async function isDead(path: string): Promise<boolean> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNREFUSED'
  } finally {
    socket.destroy()
  }
}
