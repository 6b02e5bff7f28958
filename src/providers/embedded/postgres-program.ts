import { join } from 'node:path'
import type { LocalProgram } from './local-program.ts'
import { PostgresData, type PostgresDataOptions } from './postgres-data.ts'

export interface PostgresProgramOptions extends Omit<PostgresDataOptions, 'settings'> {
  /** Whether the data is in memory. */
  readonly isMemory: boolean
}

/**
 * Describes PostgreSQL as a local process. It listens on 127.0.0.1 only, creates no socket file, and writes nothing
 * outside of its folder.
 */
export function describePostgres(options: PostgresProgramOptions): LocalProgram {
  const { binaries, account, isMemory, platform } = options
  const common = setting('listen_addresses', '127.0.0.1').concat(setting('unix_socket_directories', ''))
  // If the data is in memory, shared memory is in files next to it, so that no kind of exit leaves any behind.
  const first = isMemory ? setting('dynamic_shared_memory_type', 'mmap') : []
  const data = new PostgresData({ ...options, settings: first })
  return {
    file: join(binaries, 'bin', platform === 'win32' ? 'postgres.exe' : 'postgres'),
    account,
    // Requests an "immediate shutdown", which also ends the child processes.
    endSignal: 'SIGQUIT',
    arguments: (words, { folder, port }) => ['-D', folder, ...first, ...words, '-p', String(port), ...common],
    instanceArguments: (words) => [...first, ...words, ...common],
    fill: (folder) => data.fill(folder),
    takeBase: (folder, base, onCopied) => data.copyLive(folder, base, onCopied),
    discardCached: () => data.discardCached(),
  }
}

function setting(name: string, value: string): readonly string[] {
  return ['-c', `${name}=${value}`]
}
