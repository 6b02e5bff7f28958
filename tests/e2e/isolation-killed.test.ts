import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, inject, test } from 'vitest'
import { startVitest } from './support/run-vitest.ts'

describe.each(inject('consumers'))('$name', (consumer) => {
  test.for(['forks', 'vmForks'])("a killed worker's leases are released and the run goes on, in %s", async (pool) => {
    const run = await startVitest('isolation-killed', { consumer, args: ['run', `--pool=${pool}`] })
    const { stdout, exitCode } = await run.ended
    expect(stdout).toContain('Of 2 databases of the killed worker 0 are left')
    expect(stdout).toMatch(/Test Files {2}(1 failed \| )?6 passed \(7\)/)
    expect(stdout).toMatch(/Tests {2}6 passed/)
    expect(exitCode).toBe(1)
    // There are two Redises for each worker, so the killed one's were needed again.
    const { ports } = JSON.parse(await readFile(join(run.folder, 'killed.json'), 'utf8')) as { ports: number[] }
    const again = (await readFile(join(run.folder, 'again.txt'), 'utf8')).split('\n').filter(Boolean).map(Number)
    expect(new Set(again)).toEqual(new Set(ports))
  })
})
