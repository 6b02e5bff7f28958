import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'

type Files = Readonly<Record<string, unknown>>

/** A home directory of the test's own; short, because the path of a Unix socket must fit into 107 bytes. */
export async function createHome(files: Files = {}): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'vi-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  await writeFiles(home, files)
  return home
}

/** Writes text as it is and everything else as JSON. */
export async function writeFiles(home: string, files: Files): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(home, path)), { recursive: true })
    await writeFile(join(home, path), typeof content === 'string' ? content : JSON.stringify(content))
  }
}

/** The path, below `~/.docker`, of the docker command's files about a context. */
export function contextFile(kind: 'meta' | 'tls', name: string, file: string): string {
  const id = createHash('sha256').update(name).digest('hex')
  return join('.docker/contexts', kind, id, file)
}

export function contextMeta(host: string, skipTlsVerify = false): object {
  return { Name: 'ignored', Metadata: {}, Endpoints: { docker: { Host: host, SkipTLSVerify: skipTlsVerify } } }
}
