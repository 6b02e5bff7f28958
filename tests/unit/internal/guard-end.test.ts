import { execFile } from 'node:child_process'
import { expect, test } from 'vitest'

const MODULE = new URL('../../../src/internal/guard-end.ts', import.meta.url).href

/** Runs a script in which `release` is the guard's result, and the guard prints `early`. */
function run(script: string): Promise<{ code: number | string | null | undefined; stdout: string }> {
  const whole = `
    import { guardEnd } from '${MODULE}'
    const release = guardEnd(process, () => console.log('early'))
    ${script}`
  return new Promise((resolve) => {
    execFile(process.execPath, ['--input-type=module', '--eval', whole], (error, stdout) => {
      resolve({ code: error?.code ?? 0, stdout })
    })
  })
}

test.for([
  ['Node has nothing left to do', 'void new Promise(() => {}).then(release)'],
  ['somebody calls process.exit()', 'setTimeout(() => process.exit(), 1); setTimeout(release, 60_000)'],
  ['somebody calls process.exit(0)', 'setTimeout(() => process.exit(0), 1); setTimeout(release, 60_000)'],
  ['the exit code was set before', 'process.exitCode = 0'],
])('guardEnd() sets the exit code 1 if %s', async ([, script = '']) => {
  expect(await run(script)).toEqual({ code: 1, stdout: 'early\n' })
})

test.for([
  ['it is released', 'setTimeout(release, 1)', 0],
  ['it is released before process.exit()', 'release(); process.exit()', 0],
  ['the process ends with a code of its own', 'process.exit(3)', 3],
  [
    'a signal ends it',
    'process.on("SIGTERM", () => process.exit(143)); process.kill(process.pid, "SIGTERM"); setTimeout(() => {}, 60_000)',
    143,
  ],
] as const)('guardEnd() does nothing if %s', async ([, script, code]) => {
  expect(await run(script)).toEqual({ code, stdout: '' })
})
