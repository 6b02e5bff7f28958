import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const CLI = fileURLToPath(new URL('../../../src/cli.ts', import.meta.url))

/** The arguments, and the first line of the answer, of which Node writes a part. */
const lines: readonly (readonly [args: readonly string[], problem: RegExp])[] = [
  [[], /^A command is missing$/],
  [[''], /^A command is missing$/],
  [['GC'], /^Unknown command: GC$/],
  [['gc', 'all'], /^Unknown command: gc all$/],
  [['gc', 'gc'], /^Unknown command: gc gc$/],
  [['gc '], /^Unknown command: gc $/],
  [['__proto__'], /^Unknown command: __proto__$/],
  [['constructor'], /^Unknown command: constructor$/],
  [['--', '--help'], /^Unknown command: -- --help$/],
  [['--nowhere'], /^Unknown option '--nowhere'/],
  [['gc', '--nowhere=1'], /^Unknown option '--nowhere'/],
  [['-x'], /^Unknown option '-x'/],
  [['--help=yes'], /^Option '-h, --help' does not take an argument$/],
]

// No engine could be reached either: whoever looked for one would end with another code and message.
const env = { PATH: process.env['PATH'], HOME: '/nowhere', DOCKER_HOST: 'unix:///nowhere/docker.sock' }

test.for(lines)('vitest-infra %j is refused with exit code 2, and the usage', ([args, problem]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--no-warnings', CLI, ...args], {
    env,
    encoding: 'utf8',
  })
  const [first = '', blank, usage] = stderr.split('\n')
  expect(first).toMatch(problem)
  expect([blank, usage, status, stdout]).toEqual(['', 'Usage: vitest-infra <command>', 2, ''])
})
