import { afterAll, beforeAll } from 'vitest'
import {
  type SomebodysServers,
  startSomebodysServers,
  UNTOUCHED,
  withoutTemplates,
} from '../support/somebodys-servers.ts'
import { describeProvider } from './provider-contract.ts'

let servers: SomebodysServers

beforeAll(async () => {
  servers = await startSomebodysServers()
})
afterAll(() => servers.stop())

describeProvider({ name: 'external', leftovers: differences, external: () => servers.external })

/** Lists what was added to and removed from the servers. */
async function differences(): Promise<readonly string[]> {
  const now = Object.values(withoutTemplates(await servers.look())).flat()
  const before = Object.values(UNTOUCHED).flat()
  return [...now.filter((entry) => !before.includes(entry)), ...before.filter((entry) => !now.includes(entry))]
}
