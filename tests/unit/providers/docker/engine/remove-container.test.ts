import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'

const MODULE = new URL('../../../../../src/providers/docker/engine/engine-api.ts', import.meta.url).href

/** An engine that answers only when `answer` is called; `asked` resolves when it was asked. */
async function openSlowEngine() {
  const folder = await mkdtemp(join(tmpdir(), 'vitest-infra-slow-'))
  const asked = Promise.withResolvers<() => void>()
  const server = createServer((_request, response) => asked.resolve(() => void response.writeHead(204).end()))
  await once(server.listen(join(folder, 'docker.sock')), 'listening')
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await rm(folder, { recursive: true, force: true })
  })
  return { host: `unix://${join(folder, 'docker.sock')}`, asked: asked.promise }
}

/** Runs a script in a separate process; resolves to its output after its exit. */
function run(host: string, script: string): Promise<string> {
  const whole = `
    import { EngineApi } from '${MODULE}'
    const api = new EngineApi({ host: '${host}' })
    ${script}`
  return new Promise((resolve) => {
    execFile(process.execPath, ['--input-type=module', '--eval', whole], (error, stdout, stderr) => {
      resolve(`${stdout}${stderr}${error ? `exit code ${error.code}` : ''}`)
    })
  })
}

test('removeContainer() keeps the process alive until the engine has answered', async () => {
  const { host, asked } = await openSlowEngine()
  const ended = run(host, "void api.removeContainer('some').then(() => console.log('removed'))")
  const answer = await asked
  setTimeout(answer, 200)
  expect(await ended).toBe('removed\n')
})

test('removeContainer() settles once abandoned and lets the process exit', async () => {
  const { host, asked } = await openSlowEngine()
  const ended = run(
    host,
    `const abandon = new AbortController()
    void api.removeContainer('some', abandon.signal).then(() => console.log('let go'))
    setTimeout(() => abandon.abort(), 200)`,
  )
  await asked
  expect(await ended).toBe('let go\n')
})
