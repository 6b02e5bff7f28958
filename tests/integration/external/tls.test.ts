import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { hasOpenssl } from '../../support/create-certificate.ts'
import { putBehindTls } from '../../support/put-behind-tls.ts'
import { startSomebodysServers, UNTOUCHED, withoutTemplates } from '../../support/somebodys-servers.ts'
import { startExternalProcess } from '../../support/start-external-process.ts'

test.runIf(hasOpenssl)('servers whose URLs ask for TLS are reached by TLS, by the run and by tests', async () => {
  const root = await mkdtemp(join(tmpdir(), 'external-'))
  onTestFinished(() => rm(root, { recursive: true }))
  await mkdir(join(root, 'fixtures/postgres/migrations'), { recursive: true })
  await writeFile(join(root, 'fixtures/postgres/migrations/1.sql'), 'CREATE TABLE notes (text text);')
  const servers = await startSomebodysServers()
  onTestFinished(() => servers.stop())
  const external = await putBehindTls(servers, root)
  expect(external.redis).toMatch(/^rediss:/)
  const run = startExternalProcess({
    name: 'secret',
    root,
    rounds: 2,
    options: { external },
    environment: { NODE_EXTRA_CA_CERTS: join(root, 'cert.pem') },
  })
  expect(await run.ended).toBe(0)
  expect(run.visits.map(({ rows, notes }) => [...rows, ...notes])).toEqual([
    ['secret', 'secret'],
    ['secret', 'secret'],
  ])
  expect(withoutTemplates(await servers.look())).toEqual(UNTOUCHED)

  const stranger = startExternalProcess({
    name: 'stranger',
    root,
    rounds: 1,
    options: { external, startupTimeoutMs: 300 },
  })
  expect(await stranger.ended).not.toBe(0)
  expect(stranger.errors).toContain('self-signed certificate')
})
