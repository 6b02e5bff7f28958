import { once } from 'node:events'
import { cp, readFile } from 'node:fs/promises'
import { type AddressInfo, connect } from 'node:net'
import { homedir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { createServer } from 'node:tls'
import { expect, onTestFinished, test } from 'vitest'
import { connectTestcontainers } from '../../src/providers/docker/engine/connect-testcontainers.ts'
import { findEngine } from '../../src/providers/docker/engine/find-engine.ts'
import { createCertificate, hasOpenssl } from '../support/create-certificate.ts'
import { contextFile, contextMeta, createHome, writeFiles } from '../unit/providers/docker/support/temporary-home.ts'

const machine = { platform: process.platform, userId: userInfo().uid }
const engine = await findEngine({ ...machine, environment: process.env, homeDirectory: homedir() })
const isPossible = engine.host.startsWith('unix://') && hasOpenssl

/** One file serves as authority, server and client. */
async function createCertificates(directory: string): Promise<void> {
  createCertificate(directory)
  await cp(join(directory, 'cert.pem'), join(directory, 'ca.pem'))
}

/** Puts TLS, with a certificate that clients have to show as well, before the engine's socket. */
async function serveWithTls(directory: string): Promise<number> {
  const [key, cert] = await Promise.all(['key.pem', 'cert.pem'].map((name) => readFile(join(directory, name))))
  const server = createServer({ key, cert, ca: cert, requestCert: true }, (socket) => {
    const upstream = connect(engine.host.slice('unix://'.length))
    socket.pipe(upstream).pipe(socket)
    socket.on('error', () => upstream.destroy()).on('close', () => upstream.destroy())
    upstream.on('error', () => socket.destroy())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

test.skipIf(!isPossible)('connectTestcontainers() connects to an engine with TLS through a context', async () => {
  const inTls = contextFile('tls', 'far', 'docker/README')
  const homeDirectory = await createHome({ [inTls]: '', 'other/README': '' })
  const tlsDirectory = join(homeDirectory, dirname(inTls))
  await Promise.all([createCertificates(tlsDirectory), createCertificates(join(homeDirectory, 'other'))])
  const host = `tcp://localhost:${await serveWithTls(tlsDirectory)}`
  await writeFiles(homeDirectory, { [contextFile('meta', 'far', 'meta.json')]: contextMeta(host) })
  const search = { ...machine, homeDirectory }

  const found = await findEngine({ ...search, environment: { DOCKER_CONTEXT: 'far' } })
  expect(found).toMatchObject({ host, source: 'context "far"', product: engine.product, tlsDirectory })

  const DOCKER_CERT_PATH = join(homeDirectory, 'other')
  const environment = { DOCKER_HOST: host, DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH }
  await expect(findEngine({ ...search, environment })).rejects.toThrow(/but the connection failed \(self-signed .*\)\n/)
  await expect(findEngine({ ...search, environment })).rejects.toThrow(
    `\nPut the ca.pem, cert.pem and key.pem of that engine into ${DOCKER_CERT_PATH}, ` +
      'or unset DOCKER_HOST to use the current docker context',
  )

  const client = await connectTestcontainers(found, process.env)
  expect(await client.container.dockerode.version()).toMatchObject({ ApiVersion: engine.apiVersion })
})
