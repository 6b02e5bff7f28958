import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { assertMirror } from '../compose/assert-mirror.ts'
import { renderCompose } from '../compose/render-compose.ts'
import { InfraError, messageOf } from '../errors.ts'
import { readTextIfPresent } from '../internal/read-text.ts'
import { readProject } from '../read-project.ts'
import type { Host } from './command.ts'

const FILE = 'compose.yaml'

/**
 * Renders, writes or checks the `compose.yaml` of a project. Resolves to the text to print.
 *
 * @throws InfraError `INFRA_MIRROR_DIFFERS` with the first line that differs from the options
 */
export async function compose({ environment, directory }: Host, action: 'print' | 'write' | 'check'): Promise<string> {
  const spec = await readProject({ directory, environment })
  const text = renderCompose(spec)
  const path = join(spec.root, FILE)
  if (action === 'print') {
    return text
  }
  if (action === 'write') {
    write(path, text)
    return `${path} written\n`
  }
  assertMirror(FILE, readTextIfPresent(path) ?? '', text)
  return `${path} matches the options\n`
}

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch (error) {
    throw new InfraError('INFRA_CONFIG_LOAD', {
      problem: `Cannot write ${path}: ${messageOf(error)}`,
      remedy: 'Make it a file that can be written, or print the text with vitest-infra compose',
      cause: error,
    })
  }
}
