// node lease-worker.ts SOCKET: does a round of leases for each message of its parent.
import { type Lease, openLeaseClient } from '../../../src/leasing/lease-client.ts'
import { type Isolation, measureCycles, openClient } from './isolation.ts'

const leases = await openLeaseClient(process.argv[2] ?? '')
let lease: Lease | undefined

const isolation: Isolation = {
  async acquire() {
    lease = await leases.acquire({
      project: '',
      owner: 'bench',
      span: 'file',
      wants: ['postgres'],
      template: 'default',
      reuse: false,
    })
  },
  connect: () => openClient(lease?.facts.postgres.url ?? ''),
  async release(client) {
    await client.end()
    await leases.release(lease?.lease ?? 0)
  },
}

process.on('message', () => {
  void measureCycles(isolation).then((samples) => process.send?.(samples))
})
