import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

interface Ending {
  readonly code: number
  /** Standard output and error, as they came. */
  readonly text: string
}

const READY_LIMIT_MS = 90_000

/** The docker command. It records the containers that it starts, so that none is left. */
export interface Docker {
  /** Runs a docker command, whatever its exit code. */
  run(...args: string[]): Promise<Ending>
  /** Starts a container and resolves with its id. */
  start(...args: string[]): Promise<string>
  /** Starts a PostgreSQL container and waits until the second, lasting server takes a query over TCP. */
  startPostgres(...args: string[]): Promise<string>
  /** Runs a command in a container. Resolves to its output; it must exit with 0. */
  exec(container: string, ...command: string[]): Promise<string>
  /** The first column of the first row. */
  query(container: string, sql: string, ...options: string[]): Promise<string>
  logs(container: string): Promise<string>
  /** Resolves with the exit code of a container, once it has ended. */
  wait(container: string): Promise<number>
  inspect<T>(name: string, path: string): Promise<T>
  /** A folder with these files, for a bind mount. Names that end in "!" are executable. */
  folder(files: Readonly<Record<string, string | Buffer>>): Promise<string>
  close(): Promise<void>
}

export async function openDocker(environment: NodeJS.ProcessEnv): Promise<Docker> {
  const label = `vitest-infra.images-test=${process.pid}`
  const scratch = await mkdtemp(join(tmpdir(), 'vitest-infra-images-test-'))
  let folders = 0

  const run = async (...args: string[]): Promise<Ending> => {
    const child = spawn('docker', args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
    }
    const [code] = (await once(child, 'close')) as [number | null]
    return { code: code ?? 1, text }
  }

  const succeed = async (...args: string[]): Promise<string> => {
    const { code, text } = await run(...args)
    assert.equal(code, 0, `docker ${args.join(' ')}\nexit code ${code}\n${text}`)
    return text.trim()
  }

  const docker: Docker = {
    run: (...args) => (args[0] === 'run' ? run('run', '--label', label, ...args.slice(1)) : run(...args)),
    start: (...args) => succeed('run', '--detach', '--label', label, ...args),
    async startPostgres(...args) {
      const container = await docker.start(...args)
      await waitForServer(docker, container)
      return container
    },
    exec: (container, ...command) => succeed('exec', container, ...command),
    query: (container, sql, ...options) =>
      succeed('exec', container, 'psql', '-XAtq', '-U', 'postgres', ...options, '-c', sql),
    logs: (container) => succeed('logs', container),
    wait: async (container) => Number(await succeed('wait', container)),
    inspect: async (name, path) => JSON.parse(await succeed('inspect', '--format', `{{json ${path}}}`, name)),
    async folder(files) {
      folders += 1
      const folder = join(scratch, String(folders))
      for (const [name, content] of Object.entries(files)) {
        const path = join(folder, name.replace(/!$/, ''))
        await mkdir(dirname(path), { recursive: true })
        await writeFile(path, content, { mode: name.endsWith('!') ? 0o755 : 0o644 })
      }
      return folder
    },
    async close() {
      const containers = (await succeed('ps', '--all', '--quiet', '--filter', `label=${label}`))
        .split('\n')
        .filter(Boolean)
      if (containers.length > 0) await succeed('rm', '--force', '--volumes', ...containers)
      await rm(scratch, { recursive: true, force: true })
    },
  }
  return docker
}

async function waitForServer(docker: Docker, container: string): Promise<void> {
  const until = performance.now() + READY_LIMIT_MS
  for (;;) {
    const { code } = await docker.run('exec', container, 'pg_isready', '-q', '-h', '127.0.0.1', '-U', 'postgres')
    if (code === 0) return
    const running = await docker.inspect<boolean>(container, '.State.Running')
    if (!running || performance.now() > until)
      assert.fail(`the server does not get ready:\n${await docker.logs(container)}`)
    await sleep(100)
  }
}
