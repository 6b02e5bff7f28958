import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { TLSSocket } from 'node:tls'
import { onTestFinished } from 'vitest'
import { postgresUrl, redisUrl } from '../../src/environment/variable-set.ts'
import { createCertificate } from './create-certificate.ts'
import type { SomebodysServers } from './somebodys-servers.ts'

interface Certificate {
  readonly cert: Buffer
  readonly key: Buffer
}

/** Starts TLS proxies in front of servers, and writes their certificate to `folder`; resolves to their addresses. */
export async function putBehindTls({ postgres, redis }: SomebodysServers, folder: string) {
  createCertificate(folder)
  const [cert, key] = await Promise.all(['cert.pem', 'key.pem'].map((name) => readFile(join(folder, name))))
  const certificate = { cert, key } as Certificate
  const ports = [
    await startTls(postgres.port, certificate, agreeToTls),
    await startTls(redis.port, certificate, async () => {}),
  ] as const
  return {
    postgres: postgresUrl({ ...postgres, port: ports[0], parameters: 'sslmode=verify-full' }),
    redis: redisUrl({ ...redis, port: ports[1], tls: true }),
  }
}

/** @param greet handles the unencrypted messages before the TLS handshake */
async function startTls(port: number, certificate: Certificate, greet: (socket: Socket) => Promise<void>) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    void greet(socket).then(() => handOn(new TLSSocket(socket, { isServer: true, ...certificate }), port))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    sockets.forEach((socket) => socket.destroy())
    server.close()
  })
  return (server.address() as { port: number }).port
}

function handOn(secure: TLSSocket, port: number): void {
  const plain = connect({ host: '127.0.0.1', port })
  secure.on('error', () => plain.destroy()).on('close', () => plain.destroy())
  plain.on('error', () => secure.destroy()).on('close', () => secure.destroy())
  secure.pipe(plain).pipe(secure)
}

/** A PostgreSQL client first asks whether the server supports TLS. */
async function agreeToTls(socket: Socket): Promise<void> {
  await once(socket, 'readable')
  socket.read(8)
  socket.write('S')
}
