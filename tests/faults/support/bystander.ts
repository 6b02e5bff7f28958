import { randomBytes } from 'node:crypto'
import { expect, vi } from 'vitest'
import { engine } from '../../e2e/support/containers.ts'

/** Another user's container, with a name and labels similar to ours, and a key. */
export interface Bystander {
  assertUntouched(): Promise<void>
  remove(): Promise<void>
}

export async function plantBystander(): Promise<Bystander> {
  const docker = await engine()
  const container = await docker.createContainer({
    name: `vitest-infra-${randomBytes(4).toString('hex')}-redis`,
    Image: 'redis:8-alpine',
    Labels: {
      'vitest-infra.service': 'redis',
      'vitest-infra.run': '00000000',
      'vitest-infra.project': 'bystander',
      // Of another machine: whether that process has exited cannot be known here.
      'vitest-infra.owner': '2147483647',
      'vitest-infra.owner.started': '1',
      'vitest-infra.owner.place': 'elsewhere pid:[1] uid:0',
    },
  })
  await container.start()
  const redis = async (...words: string[]) => {
    const exec = await container.exec({ Cmd: ['redis-cli', ...words], AttachStdout: true })
    const stream = await exec.start({})
    const chunks: Buffer[] = []
    for await (const chunk of stream) {
      chunks.push(chunk as Buffer)
    }
    return Buffer.concat(chunks).toString()
  }
  await vi.waitFor(async () => expect(await redis('SET', 'session', 'ada')).toContain('OK'), { timeout: 10_000 })
  const { State: before } = await container.inspect()
  return {
    async assertUntouched() {
      const { State } = await container.inspect()
      expect(State).toMatchObject({ Running: true, Paused: false, StartedAt: before.StartedAt })
      expect(await redis('GET', 'session')).toContain('ada')
      expect(await redis('DBSIZE')).toContain('1')
    },
    remove: () => container.remove({ force: true, v: true }),
  }
}
