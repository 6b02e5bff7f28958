import { expect, test } from 'vitest'
import { type Clock, systemClock } from '../../../src/internal/clock.ts'
import { startSomebodysServers } from '../../support/somebodys-servers.ts'
import { startExternal } from './external-support.ts'

/** A clock by which the patience of a run lasts a tenth of its time. */
const QUICK: Clock = {
  now: () => systemClock.now() * 10,
  sleep: (ms, signal) => systemClock.sleep(ms / 10, signal),
}

test.for(['postgres', 'redis'] as const)(
  'a run whose %s is unreachable at its end reports it and exits',
  async (service) => {
    const servers = await startSomebodysServers()
    const infra = startExternal(servers, { services: [service] }, { clock: QUICK })
    await infra.up
    await servers.stop()
    await expect(infra.stop()).rejects.toMatchObject({
      code: 'INFRA_STOP_FAILED',
      message: expect.stringMatching(
        new RegExp(
          `^Cannot release the (?:logical )?databases of this run on service "${service}": .*\\n` +
            'Make sure that the server is running; the next run on it removes the leftovers of this run$',
        ),
      ),
    })
  },
)
