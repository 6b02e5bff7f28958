import { describe, expect, test } from 'vitest'
import type { InfraError } from '../../src/errors.ts'
import { admit, openProvider, type ProviderCase, type ServiceName, SERVICES, start } from './contract-support.ts'
import { describeOwnServers } from './own-servers-contract.ts'
import { describeStackContract } from './stack-contract.ts'

/** Tests for every provider, with real servers. */
export function describeProvider(provider: ProviderCase): void {
  const { name, leftovers, external } = provider
  const open = (service: ServiceName) =>
    openProvider(name, { service, options: external ? { external: external() } : {} })

  describe.each(SERVICES)(`${name}: %s`, (service) => {
    test('a server that has started passes the health gate, and tells what it is', async () => {
      const { provider, definition } = await open(service)
      const started = await start(provider, definition)
      const admission = await admit(started, definition)
      expect(admission.state).toBe('healthy')
      expect(admission.version).toMatch(/^\d+\.\d+/)
      expect(provider.name).toBe(name)
      expect(provider.description).toMatch(/^\S.*\S$/)
      expect(started.address).toEqual({ host: 'localhost', port: expect.any(Number) })
      expect(started.label).toContain(service)
      expect(await started.status()).toEqual({ running: true })
      expect(await started.runHealthcheck()).toMatchObject({ passed: true })
      expect((await started.logTail(1)).trimEnd().split('\n')).toHaveLength(1)
    })

    test('a server that answers no query is never admitted, although it runs', async () => {
      const { provider, definition } = await open(service)
      const silent = { ...definition, probe: async () => Promise.reject(new Error('no answer')) }
      const started = await start(provider, silent)
      const error = await admit(started, silent, 500).catch((reason: unknown) => reason as InfraError)
      expect(error).toMatchObject({ code: 'INFRA_SERVICE_UNHEALTHY', message: expect.stringContaining('no answer') })
    })

    test.for([0, 20, 60, 120, 250])('a start that is aborted after %d ms leaves nothing', async (delayMs) => {
      const { provider, definition } = await open(service)
      const abort = new AbortController()
      const starting = provider.start(definition, { report: () => {}, signal: abort.signal })
      setTimeout(() => abort.abort(new Error('the run has ended')), delayMs)
      // If the server starts all the same, the caller must stop it, as the stack does.
      await starting.then(
        (started) => started.stop(),
        (error: unknown) => expect(error).toEqual(new Error('the run has ended')),
      )
      await expect.poll(leftovers, { timeout: 10_000 }).toEqual([])
    })
  })

  if (!external) {
    describeOwnServers(provider)
  }
  describeStackContract(provider)
}
