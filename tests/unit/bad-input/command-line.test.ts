import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const CLI = fileURLToPath(new URL('../../../src/cli.ts', import.meta.url))

/** The arguments, and the first line of the answer, of which Node writes a part. */
const lines: readonly (readonly [args: readonly string[], problem: RegExp])[] = [
  [[], /^A command is missing$/],
  [[''], /^A command is missing$/],
  [['GC'], /^Unknown command: GC$/],
  [['gc', 'all'], /^Unexpected argument of gc: all$/],
  [['gc', 'gc'], /^Unexpected argument of gc: gc$/],
  [['gc '], /^Unknown command: gc $/],
  [['__proto__'], /^Unknown command: __proto__$/],
  [['constructor'], /^Unknown command: constructor$/],
  [['--', '--help'], /^Unknown command: --$/],
  [['--nowhere'], /^Unknown option '--nowhere'/],
  [['gc', '--nowhere=1'], /^Unknown option '--nowhere'/],
  [['-x'], /^Unknown option '-x'/],
  [['up', 'now'], /^Unexpected argument of up: now$/],
  [['up', '--ttl'], /^Option '--ttl <value>' argument missing$/],
  [['up', '--ttl', '-5m'], /^Option '--ttl' argument is ambiguous\.$/],
  [['down', '--ttl', '5m'], /^Unknown option '--ttl'/],
  [['gc', '--ttl=5m'], /^Unknown option '--ttl'/],
  [['env', '--format', 'xml'], /^--format is one of dotenv, shell, json, github, not "xml"$/],
  [['run'], /^The program to run is missing$/],
  [['run', '--'], /^The program to run is missing$/],
  [['run', '--fast', 'ls'], /^Unknown option '--fast'$/],
  [['logs', 'redis', 'postgres'], /^Unexpected argument of logs: postgres$/],
  [['wait', '--timeout', 'soon'], /^Cannot read --timeout: "soon" is not a duration/],
  [['compose', '--write', '--check'], /^--write and --check exclude each other$/],
  [['help', 'nothing'], /^Unknown command: nothing$/],
  [['help', 'up', 'down'], /^Unknown command: up down$/],
  [['--help=yes'], /^Option '-h, --help' does not take an argument$/],
]

// No engine is reachable either: a search for one would end with another code and message.
const env = { PATH: process.env['PATH'], HOME: '/nowhere', DOCKER_HOST: 'unix:///nowhere/docker.sock' }

function run(args: readonly string[]) {
  return spawnSync(process.execPath, ['--no-warnings', CLI, ...args], { env, encoding: 'utf8' })
}

test.for(lines)('vitest-infra %j exits with 2 and prints the usage', ([args, problem]) => {
  const { status, stdout, stderr } = run(args)
  expect(stderr.split('\n')[0]).toMatch(problem)
  expect(stderr).toMatch(/\n\nUsage: vitest-infra (?:<command>|up|down|env|gc|run|compose|logs|wait)/)
  expect([status, stdout]).toEqual([2, ''])
})

test.for(['', 'soon', '30', '-5m', '0s', '600h'])('vitest-infra up --ttl=%s exits with 2', (ttl) => {
  const { status, stdout, stderr } = run(['up', `--ttl=${ttl}`])
  expect(stderr).toContain(
    `Cannot read --ttl: "${ttl}" is not a duration from 1ms to 2147483647ms\n` +
      'Write a number and a unit, such as "500ms", "5s", "1m30s" or "1h"\n\nUsage: vitest-infra up [--ttl <time>] [--wait]\n',
  )
  expect([status, stdout]).toEqual([2, ''])
})

test('an expected failure is printed in plain lines, with exit code 1', () => {
  const { status, stdout, stderr } = run(['down'])
  expect(stderr).toContain('unix:///nowhere/docker.sock')
  expect(stderr).not.toMatch(/^ {4}at /m)
  expect([status, stdout]).toEqual([1, ''])
})

test('a closed output pipe is no failure', async () => {
  const child = spawn(process.execPath, ['--no-warnings', CLI, 'help'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  // Long before Node has loaded anything that could write.
  child.stdout.destroy()
  const [stderr, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')])
  expect([stderr, code]).toEqual(['', 0])
})
