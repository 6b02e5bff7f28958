import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { systemClock } from '../../../src/internal/clock.ts'
import { resolveSpec } from '../../../src/config/resolve-spec.ts'
import { startInfra } from '../../../src/stack/start-infra.ts'
import type { Contender, Samples } from '../../support/contender.ts'
import { type SchemaShape, writeMigrations } from '../../support/schema.ts'
import type { Session } from '../../support/session.ts'

/** As many workers as Vitest has with two files at once; the pool is sized by it. */
const WORKERS = 2

/** A lease from the warm pool, over the control socket, in a separate process like a worker. */
export function vitestInfra(shape: SchemaShape): Contender {
  return {
    name: 'vitest-infra',
    async prepare(session) {
      const root = session.createFolder()
      await writeMigrations(join(root, 'migrations'), shape)
      const infra = start(session, root)
      try {
        const worker = startWorker(session, (await infra.up).socket)
        return {
          run: () => measureIn(worker),
          async cleanup() {
            worker.kill()
            await infra.stop()
          },
        }
      } catch (error) {
        await infra.stop()
        throw error
      }
    },
  }
}

function startWorker(session: Session, socket: string): ChildProcess {
  const file = join(import.meta.dirname, 'lease-worker.ts')
  return session.spawn(process.execPath, [file, socket], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}

async function measureIn(worker: ChildProcess): Promise<Samples> {
  const ended = once(worker, 'exit').then(() => {
    throw new Error('The worker that leases has ended')
  })
  worker.send('run')
  const [samples] = (await Promise.race([once(worker, 'message'), ended])) as [Samples]
  return samples
}

function start({ labels }: Session, root: string) {
  const options = { services: ['postgres'], labels, postgres: { migrations: 'migrations', seeds: [] } } as const
  const spec = resolveSpec(options, { root, source: 'bench', environment: { process: {} } })
  return startInfra(spec, {
    environment: process.env,
    workers: WORKERS,
    variables: () => ({}),
    report: () => {},
    clock: systemClock,
  })
}
