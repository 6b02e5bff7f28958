import { stat } from 'node:fs/promises'
import type { InfraService } from '../../config/infra-service.ts'

/** The reason why a service cannot run as a local process, and an instruction that fixes it. */
export interface Missing {
  readonly service: string
  /** A clause, such as "… is not installed". */
  readonly reason: string
  /** An instruction for the user. It begins with "Run: " if it is a command. */
  readonly install: string
}

const PACKAGE_MANAGERS: Readonly<Record<string, string>> = {
  '/usr/bin/apt-get': 'apt-get install redis-server',
  '/sbin/apk': 'apk add redis',
  '/usr/bin/dnf': 'dnf install valkey',
  '/usr/bin/pacman': 'pacman -S valkey',
  '/usr/bin/zypper': 'zypper install redis',
}

/** Resolves to the command that installs a Redis on this system. */
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

/** Describes what a custom service lacks: it has an image, but no local program. */
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
