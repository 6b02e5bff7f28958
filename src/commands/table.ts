import { VARIABLE_FORMATS, type VariableFormat } from '../environment/render-variables.ts'
import type { Command, Host } from './command.ts'

const DEFAULT_TTL = '8h'
const DEFAULT_TIMEOUT = '60s'

/** All commands by name. The implementation of a command is imported only when the command runs. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  up: {
    summary: 'Start the stack of this project and leave it running for test runs',
    usage: '[--ttl <time>] [--wait]',
    options: {
      wait: {
        description: 'Return when all services are healthy; this is always so, the option exists as in docker compose',
      },
      ttl: {
        value: 'time',
        isDuration: true,
        description: `How long the stack runs without use, such as 30m (default: ${DEFAULT_TTL})`,
      },
    },
    examples: [
      ['vitest-infra up', 'PostgreSQL and Redis for a day of work'],
      ['vitest-infra up --ttl 30m', 'The servers stop half an hour after the last run'],
    ],
    async run({ options: { ttl = DEFAULT_TTL } }, host) {
      const [{ up }, { createReporter }, { cleanUpBeforeExit }] = await Promise.all([
        import('./up.ts'),
        import('../report/reporter.ts'),
        import('../internal/clean-up-before-exit.ts'),
      ])
      const report = createReporter(host.stderr)
      const whileStarting = (stop: () => Promise<void>) => cleanUpBeforeExit(host.process, stop)
      return say(host, await up({ ...host, ttl: String(ttl), report, whileStarting }))
    },
  },
  down: {
    summary: 'Stop the servers that up and keepAlive left running for this project, even if a run uses them',
    usage: '',
    examples: [['vitest-infra down', 'Removes all containers of this project']],
    async run(_call, host) {
      const { down } = await import('./down.ts')
      return say(host, await down(host.environment, host.directory))
    },
  },
  status: {
    summary: 'Show the services of this project; the exit code is 0 if all are healthy, else 1',
    usage: '[--watch] [--json]',
    options: {
      watch: { description: 'Refresh until interrupted' },
      json: { description: 'Print JSON: a list, or with --watch a list in one line after each change' },
    },
    examples: [
      ['vitest-infra status', 'State, image, address and the last healthchecks'],
      ['vitest-infra status --watch', 'See a service flap'],
      ['vitest-infra status --json', 'For a script'],
    ],
    async run({ options: { watch, json } }, host) {
      const { status } = await import('./status.ts')
      return status(host, { watch: watch === true, json: json === true })
    },
  },
  wait: {
    summary: 'Wait until all services of this project are healthy',
    usage: '[--timeout <time>]',
    options: {
      timeout: {
        value: 'time',
        isDuration: true,
        description: `Time after which to give up, such as 2m (default: ${DEFAULT_TIMEOUT})`,
      },
    },
    examples: [['vitest-infra wait --timeout 2m', 'In a script that starts the stack in the background']],
    async run({ options: { timeout = DEFAULT_TIMEOUT } }, host) {
      const [{ wait }, { systemClock }] = await Promise.all([import('./wait.ts'), import('../internal/clock.ts')])
      return say(host, await wait(host, String(timeout), systemClock))
    },
  },
  env: {
    summary: 'Print the variables with the addresses of the running stack',
    usage: `[--format ${VARIABLE_FORMATS.join('|')}]`,
    options: {
      format: {
        value: 'format',
        choices: VARIABLE_FORMATS,
        description: `One of ${VARIABLE_FORMATS.join(', ')} (default: dotenv)`,
      },
    },
    examples: [
      ['vitest-infra env > .env.infra', 'For node --env-file, Vite and others that read dotenv'],
      ['eval "$(vitest-infra env --format shell)"', 'Into the current shell'],
      ['vitest-infra env --format github >> "$GITHUB_ENV"', 'Into the next steps of a job'],
    ],
    async run({ options: { format = 'dotenv' } }, host) {
      const { env } = await import('./env.ts')
      host.stdout.write(await env(host, format as VariableFormat))
      return 0
    },
  },
  run: {
    summary: 'Run a program with the variables of the stack; starts a temporary stack if none is running',
    usage: '-- <program> [arguments]',
    operands: 'program',
    examples: [
      ['vitest-infra run -- npx playwright test', 'Tests of another runner'],
      ['vitest-infra run -- npm run dev', 'A server for development, until Ctrl-C'],
      ['vitest-infra run -- pytest', 'Another language; the exit code is that of the program'],
    ],
    async run({ operands }, host) {
      const { run } = await import('./run.ts')
      return run(host, operands)
    },
  },
  logs: {
    summary: 'Print the logs of the running services, without passwords',
    usage: '[service] [--follow]',
    options: { follow: { description: 'Continue with new lines' } },
    operands: 'one',
    examples: [
      ['vitest-infra logs', 'All services, with their names'],
      ['vitest-infra logs postgres --follow', 'One service, and new lines'],
    ],
    async run({ options: { follow }, operands: [service] }, host) {
      const { logs } = await import('./logs.ts')
      await logs(host, { service, follow: follow === true })
      return 0
    },
  },
  psql: {
    summary: 'Run psql on the running stack; psql need not be installed',
    usage: '[arguments of psql]',
    operands: 'verbatim',
    examples: [
      ['vitest-infra psql', 'Interactively'],
      ["vitest-infra psql -c 'SELECT now()'", 'One statement; the exit code is that of psql'],
      ['vitest-infra psql < dump.sql', 'A file'],
    ],
    async run({ operands }, host) {
      const { runPsql } = await import('./run-client.ts')
      return runPsql(host, operands)
    },
  },
  'redis-cli': {
    summary: 'Run redis-cli on the running stack; redis-cli need not be installed',
    usage: '[arguments of redis-cli]',
    operands: 'verbatim',
    examples: [
      ['vitest-infra redis-cli', 'Interactively'],
      ['vitest-infra redis-cli KEYS "*"', 'One command; the exit code is that of redis-cli'],
    ],
    async run({ operands }, host) {
      const { runRedisCli } = await import('./run-client.ts')
      return runRedisCli(host, operands)
    },
  },
  compose: {
    summary: 'Print a compose.yaml with the same services, and with in-memory ones for --profile test',
    usage: '[--write|--check]',
    options: {
      write: { excludes: 'check', description: 'Write it next to infra.config.*, replacing an existing file' },
      check: { description: 'Report the first difference from the existing file; the exit code is then 1' },
    },
    examples: [
      ['vitest-infra compose --write', 'Then: docker compose up -d --wait'],
      ['vitest-infra compose --check', 'In CI'],
    ],
    async run({ options: { write, check } }, host) {
      const { compose } = await import('./compose.ts')
      host.stdout.write(await compose(host, write === true ? 'write' : check === true ? 'check' : 'print'))
      return 0
    },
  },
  doctor: {
    summary: 'Check everything that tests need, and print how to correct what is missing',
    usage: '',
    examples: [['vitest-infra doctor', 'The exit code is 0 if tests can run, else 1']],
    async run(_call, host) {
      const { doctor } = await import('./doctor.ts')
      return doctor(host)
    },
  },
  gc: {
    summary: 'Remove the snapshots of all projects from the container engine',
    usage: '',
    examples: [['vitest-infra gc', 'Frees disk space; the next run takes new snapshots']],
    async run(_call, host) {
      const { gc } = await import('./gc.ts')
      return say(host, await gc(host.environment))
    },
  },
}

function say({ stdout }: Host, text: string): number {
  stdout.write(`${text}\n`)
  return 0
}
