import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { runningChildren, watchChildren } from '../../../src/worker/child-processes.ts'

test('runningChildren() has each running process once and none that has exited', async () => {
  watchChildren()
  watchChildren()
  const child = spawn(process.execPath, ['--eval', 'setInterval(() => {}, 1000)'])
  onTestFinished(() => void child.kill('SIGKILL'))
  expect(runningChildren()).toEqual([child.pid])
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(runningChildren()).toEqual([])
  await once(spawn(`${import.meta.dirname}/none`), 'error')
  expect(runningChildren()).toEqual([])
})
