import { CACHE_FOLDER } from './names.ts'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Returns the folder for vitest-infra in the user's cache. Later runs reuse its data, or rebuild it. */
export function userFolder(
  environment: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform,
): string {
  const { XDG_CACHE_HOME: chosen, LOCALAPPDATA: local } = environment
  return join(chosen || (platform === 'win32' && local) || join(homedir(), userCache(platform)), CACHE_FOLDER)
}

function userCache(platform: NodeJS.Platform): string {
  switch (platform) {
    case 'darwin':
      return 'Library/Caches'
    case 'win32':
      return 'AppData/Local'
    default:
      return '.cache'
  }
}
