import type { Readable } from 'node:stream'
import { createInterface } from 'node:readline'
import { engine } from '../../e2e/support/containers.ts'

/**
 * Resolves when the engine has done something to a container of a project, whose name ends so; to be called before it
 * can.
 */
export async function watchFor(
  action: 'create' | 'start' | 'destroy',
  project: string,
  ending = '',
): Promise<{ readonly done: Promise<void> }> {
  const docker = await engine()
  const filters = { type: ['container'], event: [action], label: [`vitest-infra.project=${project}`] }
  const stream = (await docker.getEvents({ filters: JSON.stringify(filters) as never })) as Readable
  const done = new Promise<void>((resolve) => {
    createInterface(stream).on('line', (line) => {
      const { Actor } = JSON.parse(line) as { Actor: { Attributes: { name: string } } }
      if (Actor.Attributes.name.endsWith(ending)) {
        resolve()
      }
    })
  })
  return { done: done.finally(() => stream.destroy()) }
}
