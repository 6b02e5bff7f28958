import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { createProject } from '../support/create-project.ts'

/** As another process has it, which remembers nothing of this one. */
async function passwordInNewProcess(root: string, folder: string): Promise<string> {
  vi.resetModules()
  const { ownPassword } = await import('../../../src/internal/own-password.ts')
  return ownPassword(root, folder)
}

test('ownPassword() is the same in every process, and another for each project and user', async () => {
  const [ada, ben] = [join(createProject({}), 'cache'), join(createProject({}), 'cache')]
  const password = await passwordInNewProcess('/shop', ada)
  expect(password).toMatch(/^[0-9a-f]{32}$/)
  expect(await passwordInNewProcess('/shop', ada)).toBe(password)
  const others = [await passwordInNewProcess('/shop', ben), await passwordInNewProcess('/desk', ada)]
  expect(new Set([password, ...others]).size).toBe(3)
})

test.skipIf(process.platform === 'win32')('ownPassword() keeps its secret where nobody else reads it', async () => {
  const folder = join(createProject({}), 'cache')
  const password = await passwordInNewProcess('/shop', folder)
  expect(readdirSync(folder)).toEqual(['secret'])
  expect([statSync(folder).mode & 0o777, statSync(join(folder, 'secret')).mode & 0o777]).toEqual([0o700, 0o600])
  // What others could have read is no secret any more.
  chmodSync(join(folder, 'secret'), 0o640)
  expect(await passwordInNewProcess('/shop', folder)).not.toBe(password)
  expect(statSync(join(folder, 'secret')).mode & 0o777).toBe(0o600)
})

test.for(['', 'half a secr', 'a'.repeat(65)])('ownPassword() replaces a secret that is none: %j', async (text) => {
  const folder = createProject({ secret: text })
  chmodSync(join(folder, 'secret'), 0o600)
  const password = await passwordInNewProcess('/shop', folder)
  expect(readFileSync(join(folder, 'secret'), 'utf8')).toMatch(/^[0-9a-f]{64}$/)
  expect(await passwordInNewProcess('/shop', folder)).toBe(password)
})

test('ownPassword() lasts as long as its process where nothing can be kept, and is agreed upon in it', async () => {
  const folder = join(createProject({ file: '' }), 'file', 'cache')
  const { ownPassword } = await import('../../../src/internal/own-password.ts')
  const password = ownPassword('/shop', folder)
  expect(password).toMatch(/^[0-9a-f]{32}$/)
  expect(ownPassword('/shop', folder)).toBe(password)
  expect(await passwordInNewProcess('/shop', folder)).not.toBe(password)
})

test('ownPassword() stays the same in a process whose secret somebody replaces', async () => {
  const folder = createProject({})
  const { ownPassword } = await import('../../../src/internal/own-password.ts')
  const password = ownPassword('/shop', folder)
  writeFileSync(join(folder, 'secret'), 'b'.repeat(64))
  expect(ownPassword('/shop', folder)).toBe(password)
})
