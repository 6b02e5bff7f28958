import { engine } from '../../e2e/support/containers.ts'

/** Resolves when the engine has done something to a container of a project; to be called before it can. */
export async function watchFor(
  action: 'start' | 'destroy',
  project: string,
): Promise<{ readonly done: Promise<void> }> {
  const docker = await engine()
  const filters = { type: ['container'], event: [action], label: [`vitest-infra.project=${project}`] }
  const stream = await docker.getEvents({ filters: JSON.stringify(filters) as never })
  const done = new Promise<void>((resolve) => stream.once('data', () => resolve()))
  return { done: done.finally(() => (stream as unknown as { destroy(): void }).destroy()) }
}
