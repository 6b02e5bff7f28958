import { execFile } from 'node:child_process'
import { createServer, type AddressInfo } from 'node:net'
import { promisify } from 'node:util'
import { once } from 'node:events'
import pg from 'pg'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const ROOT = new URL('../..', import.meta.url)

test('docker compose up --wait starts compose.yaml healthy on the configured ports', { timeout: 120_000 }, async () => {
  const project = `vitest-infra-compose-${process.pid}`
  const [postgresPort, redisPort] = [await freePort(), await freePort()]
  // Without the variables of this file's lease, which compose would use.
  const { POSTGRES_USER: _user, POSTGRES_PASSWORD: _password, POSTGRES_DB: _database, ...rest } = process.env
  const env = { ...rest, POSTGRES_PORT: String(postgresPort), REDIS_PORT: String(redisPort) }
  const compose = (...args: string[]) =>
    run('docker', ['compose', '--project-name', project, ...args], { cwd: ROOT, env })
  try {
    await compose('up', '--detach', '--wait')

    const { stdout } = await compose('ps', '--format', '{{.Service}} {{.Health}} {{.Publishers}}')
    expect(stdout).toMatch(new RegExp(`postgres healthy .*127\\.0\\.0\\.1 5432 ${postgresPort} tcp`))
    expect(stdout).toMatch(new RegExp(`redis healthy .*127\\.0\\.0\\.1 6379 ${redisPort} tcp`))

    const client = new pg.Client(`postgres://postgres:postgres@127.0.0.1:${postgresPort}/app`)
    await client.connect()
    const { rows } = await client.query('SELECT current_database(), current_user')
    await client.end()
    expect(rows).toEqual([{ current_database: 'app', current_user: 'postgres' }])

    const volumes = await run('docker', [
      'volume',
      'ls',
      '--quiet',
      '--filter',
      `label=com.docker.compose.project=${project}`,
    ])
    expect(volumes.stdout.trim()).toBe(`${project}_postgres_data`)
  } finally {
    await compose('down', '--volumes', '--timeout', '0')
  }
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
