import { join } from 'node:path'
import type { LocalProgram } from './local-program.ts'
import { PostgresData, type PostgresDataOptions } from './postgres-data.ts'

export interface PostgresProgramOptions extends Omit<PostgresDataOptions, 'settings'> {
  /** Whether its data is in memory. */
  readonly isMemory: boolean
}

/** PostgreSQL as a local process: TCP on the loopback, no socket file, nothing outside of its folder. */
export function describePostgres(options: PostgresProgramOptions): LocalProgram {
  const { binaries, account, isMemory, platform } = options
  const common = setting('listen_addresses', '127.0.0.1').concat(setting('unix_socket_directories', ''))
  // Shared memory is in files next to the data, if these are in memory: then no exit leaves any of it.
  const first = isMemory ? setting('dynamic_shared_memory_type', 'mmap') : []
  const data = new PostgresData({ ...options, settings: first })
  return {
    file: join(binaries, 'bin', platform === 'win32' ? 'postgres.exe' : 'postgres'),
    account,
    // An "immediate shutdown", which takes its children along.
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
