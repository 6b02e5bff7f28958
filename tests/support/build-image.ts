import { execFile } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'
import { engine } from './snapshot-runs.ts'

const execute = promisify(execFile)
const MODULE = join(import.meta.dirname, 'redis-module/greeter.c')

/** An image that a test built. */
export interface BuiltImage {
  readonly name: string
  remove(): Promise<void>
}

export interface ImageRecipe {
  readonly from: string
  /** A POSIX shell script that starts its arguments. */
  readonly entrypoint: string
  readonly command: readonly string[]
  /** Whether the image contains a Redis module with the command `GREETER.HELLO`, in `/opt/greeter.so`. */
  readonly hasModule?: boolean
}

/** Builds an image with a custom entrypoint; a module needs a compiler. */
export async function buildImage({ from, entrypoint, command, hasModule }: ImageRecipe): Promise<BuiltImage> {
  const { dockerode } = await engine()
  const folder = await mkdtemp(join(tmpdir(), 'image-'))
  const name = `vitest-infra-test:${Math.random().toString(36).slice(2, 10)}`
  try {
    await writeFile(join(folder, 'entrypoint.sh'), entrypoint)
    await chmod(join(folder, 'entrypoint.sh'), 0o755)
    if (hasModule) {
      await execute('cc', ['-shared', '-fPIC', '-nostdlib', '-O2', '-o', join(folder, 'greeter.so'), MODULE])
    }
    const lines = [
      `FROM ${from}`,
      'COPY . /opt/',
      'ENTRYPOINT ["/opt/entrypoint.sh"]',
      `CMD ${JSON.stringify(command)}`,
    ]
    await writeFile(join(folder, 'Dockerfile'), `${lines.join('\n')}\n`)
    const { stdout } = await execute('tar', ['-c', '-C', folder, '.'], { encoding: 'buffer', maxBuffer: 2 ** 24 })
    const progress = await dockerode.buildImage(Readable.from([stdout]), { t: name })
    await new Promise<void>((resolve, reject) =>
      dockerode.modem.followProgress(progress, (error, output: readonly { readonly error?: string }[]) => {
        const refusal = error?.message ?? output.find((line) => line.error !== undefined)?.error
        return refusal === undefined ? resolve() : reject(new Error(refusal))
      }),
    )
  } finally {
    await rm(folder, { recursive: true })
  }
  return { name, remove: () => dockerode.getImage(name).remove({ force: true }) }
}
