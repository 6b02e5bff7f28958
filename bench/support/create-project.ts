import { readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createConsumer } from './consumer.ts'
import type { Session } from './session.ts'

/** A project of `bench/projects`. The session's label identifies its containers, as far as we start them. */
export async function createProject(session: Session, name: string): Promise<string> {
  const folder = await createConsumer(name)
  await unlinkCaches(join(folder, 'node_modules'))
  const options = JSON.stringify({ labels: session.labels })
  await writeFile(join(folder, 'infra.config.ts'), `export default ${options}\n`)
  return folder
}

/** Each project has its own `node_modules`, since tools write into it. */
async function unlinkCaches(modules: string): Promise<void> {
  const caches = (await readdir(modules)).filter((name) => name.startsWith('.') && name !== '.bin')
  await Promise.all(caches.map((name) => rm(join(modules, name))))
}
