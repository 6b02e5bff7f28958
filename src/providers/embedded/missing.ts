import { stat } from 'node:fs/promises'
import type { InfraService } from '../../config/infra-service.ts'

/** What a service lacks to run as a local process. */
export interface Missing {
  readonly service: string
  /** A clause: "… is not installed". */
  readonly reason: string
  /** An instruction; one that names a command begins with "Run: ". */
  readonly install: string
}

const PACKAGE_MANAGERS: Readonly<Record<string, string>> = {
  '/usr/bin/apt-get': 'apt-get install redis-server',
  '/sbin/apk': 'apk add redis',
  '/usr/bin/dnf': 'dnf install valkey',
  '/usr/bin/pacman': 'pacman -S valkey',
  '/usr/bin/zypper': 'zypper install redis',
}

/** The one command that brings a Redis to this system. */
export async function installCommand(platform: NodeJS.Platform): Promise<string> {
  if (platform === 'darwin') {
    return 'brew install redis'
  }
  for (const [program, command] of Object.entries(PACKAGE_MANAGERS)) {
    if (platform === 'linux' && (await stat(program).catch(() => undefined))) {
      return command
    }
  }
  return 'npm install --save-dev redis-memory-server'
}

/** What a service of the user's own lacks: it is an image, and no program. */
export function missingEngine({ name, image }: InfraService): Missing {
  return {
    service: name,
    reason: `its image ${image} needs a container engine`,
    install: `Start Docker, or leave ${name} out of services`,
  }
}

export function isMissing(found: object | undefined): found is Missing {
  return found !== undefined && 'install' in found
}
