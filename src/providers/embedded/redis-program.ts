import { realpath } from 'node:fs/promises'
import { createOwned, isReachable } from './account.ts'
import type { Account } from './supervisor-protocol.ts'
import type { LocalProgram } from './local-program.ts'

/** Describes Redis as a local process that listens on 127.0.0.1 only. */
export async function describeRedis(file: string, account: Account | undefined): Promise<LocalProgram> {
  const common = ['--bind', '127.0.0.1', '--daemonize', 'no']
  // Redis can run as root, so a program that only root can access runs as root and need not be copied.
  const user = (await isReachable(await realpath(file), account)) ? account : undefined
  return {
    file,
    account: user,
    endSignal: 'SIGKILL',
    arguments: (words, { folder, port }) => [...words, '--dir', folder, '--port', String(port), ...common],
    instanceArguments: (words) => [...words, ...common],
    fill: async (folder) => {
      await createOwned(folder, user)
      return 'new'
    },
    discardCached: async () => {},
  }
}
