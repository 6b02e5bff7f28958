import { spawnSync } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Host } from '../../../src/migrations/await-exit.ts'
import { type Program, runProgram } from '../../../src/migrations/run-program.ts'

/** This process, but for its signals, which a test sends. */
function createHost(): { host: Host; events: EventEmitter } {
  const events = new EventEmitter()
  const { env, execPath, platform } = process
  const kill = process.kill.bind(process)
  const once = events.once.bind(events) as Host['once']
  const off = events.off.bind(events) as Host['off']
  return { host: { env, execPath, platform, kill, once, off }, events }
}

/** Long enough for two programs to start in sequence on a busy machine. */
const SOON_MS = 3_000

function programOf(code: string, timeoutMs = 10_000): Program {
  return { command: [process.execPath, '--eval', code], cwd: tmpdir(), env: process.env, timeoutMs }
}

/** A zombie, which no process has waited for yet, has exited. */
function isAlive(pid: number): boolean {
  const state = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)])
    .stdout.toString()
    .trim()
  return state !== '' && !state.startsWith('Z')
}

/** Starts a child process, prints its id, and keeps running. */
const WITH_CHILD = `
  const { spawn } = require('node:child_process')
  const code = "process.on('SIGTERM', () => {}); console.log(process.pid); setInterval(() => {}, 1000)"
  spawn(process.execPath, ['--eval', code], { stdio: 'inherit' })
  setInterval(() => {}, 1000)`

test('runProgram() keeps the order of stdout and stderr', async () => {
  const code =
    'for (let i = 0; i < 50; i++) { console.log("out " + i); console.error("err " + i) }; process.exitCode = 3'
  const { exit, output } = await runProgram(programOf(code), createHost().host)
  expect(exit).toEqual({ type: 'exited', code: 3 })
  const lines = Array.from({ length: 50 }, (_, index) => [`out ${index}`, `err ${index}`]).flat()
  expect(output.split('\n')).toEqual(lines)
})

test('runProgram() removes colours from the output', async () => {
  const { output } = await runProgram(programOf(String.raw`console.log('\x1b[31mred\x1b[0m')`), createHost().host)
  expect(output).toBe('red')
})

test('runProgram() shows the last 4 MB of endless output', async () => {
  const code = `process.stdout.write('a'.repeat(5e6) + 'end')`
  const { output } = await runProgram(programOf(code), createHost().host)
  expect(output).toMatch(/^\(the first 805699 bytes are left out\)\na+end$/)
})

test('runProgram() gives a program an empty input', async () => {
  const code = `process.stdin.on('end', () => console.log('no input')).resume()`
  const { exit, output } = await runProgram(programOf(code), createHost().host)
  expect({ exit, output }).toEqual({ exit: { type: 'exited', code: 0 }, output: 'no input' })
})

test('runProgram() reports the signal that ended a program', async () => {
  const { exit } = await runProgram(programOf(`process.kill(process.pid, 'SIGKILL')`), createHost().host)
  expect(exit).toEqual({ type: 'killed', signal: 'SIGKILL' })
})

test('runProgram() reports that a program cannot be started', async () => {
  const program = { ...programOf(''), command: ['no-such-program'] as const }
  const { exit, output } = await runProgram(program, createHost().host)
  expect({ type: exit.type, output }).toEqual({ type: 'not-started', output: '' })
})

test.skipIf(process.platform === 'win32')("runProgram() stops a program's children at the timeout", async () => {
  const { exit, output } = await runProgram(programOf(WITH_CHILD, SOON_MS), createHost().host)
  expect(exit).toEqual({ type: 'timed-out' })
  const pid = Number(output)
  expect(pid).toBeGreaterThan(0)
  await expect.poll(() => isAlive(pid)).toBe(false)
})

test.skipIf(process.platform === 'win32')('runProgram() kills a program that ignores SIGTERM', async () => {
  const code = `process.on('SIGTERM', () => console.log('no')); console.log('up'); setInterval(() => {}, 1000)`
  const { exit, output } = await runProgram(programOf(code, SOON_MS), createHost().host)
  expect(exit).toEqual({ type: 'timed-out' })
  expect(output).toBe('up\nno')
})

test.skipIf(process.platform === 'win32').for(['SIGINT', 'SIGTERM', 'SIGHUP'])(
  'runProgram() stops a program when this process gets %s',
  async (signal) => {
    const { host, events } = createHost()
    const running = runProgram(programOf(WITH_CHILD), host)
    await sleep(300)
    events.emit(signal, signal)
    const { exit } = await running
    expect(exit).toEqual({ type: 'killed', signal })
    expect(events.eventNames()).toEqual([])
  },
)
