import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { createProject } from '../support/create-project.ts'

/** Like another process without any cached value. */
async function passwordInNewProcess(folder: string): Promise<string> {
  vi.resetModules()
  const { ownPassword } = await import('../../../src/internal/own-password.ts')
  return ownPassword(folder)
}

test('ownPassword() is the same in every process and different for each user', async () => {
  const [ada, ben] = [join(createProject({}), 'cache'), join(createProject({}), 'cache')]
  const password = await passwordInNewProcess(ada)
  expect(password).toMatch(/^[0-9a-f]{32}$/)
  expect(await passwordInNewProcess(ada)).toBe(password)
  expect(await passwordInNewProcess(ben)).not.toBe(password)
})

test.skipIf(process.platform === 'win32')('ownPassword() stores it readable only for the user', async () => {
  const folder = join(createProject({}), 'cache')
  const password = await passwordInNewProcess(folder)
  expect(readdirSync(folder)).toEqual(['password'])
  expect([statSync(folder).mode & 0o777, statSync(join(folder, 'password')).mode & 0o777]).toEqual([0o700, 0o600])
  // A password that others could have read is no longer secret.
  chmodSync(join(folder, 'password'), 0o640)
  expect(await passwordInNewProcess(folder)).not.toBe(password)
  expect(statSync(join(folder, 'password')).mode & 0o777).toBe(0o600)
})

test.for(['', 'half a passw', 'a'.repeat(33)])('ownPassword() replaces an invalid one: %j', async (text) => {
  const folder = createProject({ password: text })
  chmodSync(join(folder, 'password'), 0o600)
  const password = await passwordInNewProcess(folder)
  expect(readFileSync(join(folder, 'password'), 'utf8')).toMatch(/^[0-9a-f]{32}$/)
  expect(await passwordInNewProcess(folder)).toBe(password)
})

test('ownPassword() keeps one password for the process if nothing can be stored', async () => {
  const folder = join(createProject({ file: '' }), 'file', 'cache')
  const { ownPassword } = await import('../../../src/internal/own-password.ts')
  const password = ownPassword(folder)
  expect(password).toMatch(/^[0-9a-f]{32}$/)
  expect(ownPassword(folder)).toBe(password)
  expect(await passwordInNewProcess(folder)).not.toBe(password)
})

test('ownPassword() stays the same in a process whose file is replaced', async () => {
  const folder = createProject({})
  const { ownPassword } = await import('../../../src/internal/own-password.ts')
  const password = ownPassword(folder)
  writeFileSync(join(folder, 'password'), 'b'.repeat(32))
  expect(ownPassword(folder)).toBe(password)
})
