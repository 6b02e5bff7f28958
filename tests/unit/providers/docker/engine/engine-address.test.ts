import { expect, test } from 'vitest'
import { parseEngineAddress, withoutPassword } from '../../../../../src/providers/docker/engine/engine-address.ts'

const plain = { tls: false }

test.each([
  ['unix:///run/docker.sock', { kind: 'socket', host: 'unix:///run/docker.sock', path: '/run/docker.sock' }],
  ['unix://', { kind: 'socket', host: 'unix:///var/run/docker.sock', path: '/var/run/docker.sock' }],
  ['npipe:////./pipe/x', { kind: 'socket', host: 'npipe:////./pipe/x', path: '//./pipe/x' }],
  ['tcp://box', { kind: 'tcp', host: 'tcp://box:2375', hostname: 'box', port: 2375 }],
  ['tcp://:9999', { kind: 'tcp', host: 'tcp://localhost:9999', hostname: 'localhost', port: 9999 }],
  ['tcp://[::1]:9999', { kind: 'tcp', host: 'tcp://[::1]:9999', hostname: '::1', port: 9999 }],
  ['box:9999', { kind: 'tcp', host: 'tcp://box:9999', hostname: 'box', port: 9999 }],
  ['http://box:9999/', { kind: 'tcp', host: 'tcp://box:9999', hostname: 'box', port: 9999 }],
])('parseEngineAddress() reads %s as the docker command does', (text, address) => {
  expect(parseEngineAddress(text, plain)).toEqual(address)
})

test('parseEngineAddress() assumes port 2376 with TLS', () => {
  expect(parseEngineAddress('tcp://box', { tls: true }).host).toBe('tcp://box:2376')
})

test.each([
  '/var/run/docker.sock',
  'unix://docker.sock',
  'htp://box',
  'tcp://',
  'tcp://box:99999',
  'tcp://box/path',
  '  ',
])('parseEngineAddress() rejects "%s"', (text) => {
  expect(() => parseEngineAddress(text, plain)).toThrow('not the address of a container engine')
})

test('parseEngineAddress() rejects an ssh address, which Testcontainers cannot use', () => {
  expect(() => parseEngineAddress('ssh://me@box', plain)).toThrow('Testcontainers cannot use an ssh address')
})

test.each([
  ['ssh://me:se@cret@box:22', 'ssh://me@box:22'],
  ['ssh://me@box', 'ssh://me@box'],
  ['tcp://box:2375', 'tcp://box:2375'],
  ['unix:///home/me:you@work/e.sock', 'unix:///home/me:you@work/e.sock'],
])('withoutPassword() prints %s as %s', (host, printable) => {
  expect(withoutPassword(host)).toBe(printable)
})
