import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { assertMirror } from '../../../src/compose/assert-mirror.ts'
import { renderCompose } from '../../../src/compose/render-compose.ts'
import { DEFAULT_SERVICES } from '../../../src/config/infra-service.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'
import { resolve } from '../support/resolve.ts'

interface ComposeService {
  readonly image: string
  readonly environment?: Readonly<Record<string, string>>
  readonly ports: readonly string[]
  readonly volumes?: readonly string[]
  readonly tmpfs?: readonly string[]
  readonly healthcheck: { readonly test: readonly string[]; readonly [key: string]: unknown }
  readonly labels?: Readonly<Record<string, string>>
}

interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>
  readonly volumes?: Readonly<Record<string, object>>
}

const file = readFileSync(new URL('../../../compose.yaml', import.meta.url), 'utf8')

function render(options: object = {}): ComposeFile {
  return parse(renderCompose(resolve(options))) as ComposeFile
}

test('renderCompose() renders the compose.yaml of this repository', () => {
  expect(() => assertMirror('compose.yaml', file, renderCompose(resolve()))).not.toThrow()
})

test.for([
  ['POSTGRES_PORT', 'PG_PORT'],
  ['REDIS_PORT', 'REDIS'],
  ['postgres:18-alpine', 'postgres:17-alpine'],
  ['retries: 12', 'retries: 5'],
  ['127.0.0.1:${REDIS_PORT', '${REDIS_PORT'],
  ['$$POSTGRES_USER', '$POSTGRES_USER'],
  ['volumes:\n  postgres_data: {}\n', ''],
] as const)('assertMirror() detects a change of %j in compose.yaml', async ([before, after]) => {
  const broken = file.replace(before, () => after)
  expect(broken).not.toBe(file)
  const error = await catchInfraError(() => assertMirror('compose.yaml', broken, renderCompose(resolve())))
  expect(error.code).toBe('INFRA_MIRROR_DIFFERS')
})

test('renderCompose() renders custom services without anything that compose interpolates', () => {
  const mailpit = {
    image: 'axllent/mailpit',
    port: 1025,
    healthcheck: { cmd: 'test "$READY"', interval: '1s', retries: 60 },
    environment: { MP_UI_AUTH: 'a:$b' },
    command: ['--max', '$100'],
    labels: { team: 'mail' },
  }
  const { services } = render({ services: { postgres: false, redis: false, mailpit } })
  const common = {
    image: 'axllent/mailpit',
    command: ['--max', '$$100'],
    environment: { MP_UI_AUTH: 'a:$$b' },
    healthcheck: { test: ['CMD-SHELL', 'test "$$READY"'], interval: '1s', timeout: '5s', retries: 60 },
    labels: { team: 'mail' },
  }
  expect(services).toEqual({
    mailpit: { ...common, restart: 'unless-stopped', ports: ['127.0.0.1:${MAILPIT_PORT:-1025}:1025'] },
    'mailpit-test': {
      ...common,
      profiles: ['test'],
      ports: ['127.0.0.1::1025'],
      networks: { test: { aliases: ['mailpit'] } },
    },
  })
})

test('renderCompose() writes YAML that parses to the same file', () => {
  expect(render()).toEqual({
    services: {
      postgres: {
        image: 'postgres:18-alpine',
        restart: 'unless-stopped',
        environment: {
          POSTGRES_USER: '${POSTGRES_USER:-postgres}',
          POSTGRES_PASSWORD: '${POSTGRES_PASSWORD:-postgres}',
          POSTGRES_DB: '${POSTGRES_DB:-app}',
        },
        ports: ['127.0.0.1:${POSTGRES_PORT:-5432}:5432'],
        volumes: ['postgres_data:/var/lib/postgresql'],
        healthcheck: {
          test: [
            'CMD-SHELL',
            'pg_isready --host 127.0.0.1 --port 5432 --username "$$POSTGRES_USER" --dbname "$$POSTGRES_DB"',
          ],
          interval: '5s',
          timeout: '5s',
          retries: 12,
        },
      },
      redis: {
        image: 'redis:8-alpine',
        restart: 'unless-stopped',
        ports: ['127.0.0.1:${REDIS_PORT:-6379}:6379'],
        tmpfs: ['/data'],
        healthcheck: {
          test: ['CMD-SHELL', 'redis-cli ping | grep PONG'],
          interval: '5s',
          timeout: '5s',
          retries: 12,
        },
      },
      'postgres-test': expect.any(Object) as object,
      'redis-test': expect.any(Object) as object,
    },
    networks: { test: {} },
    volumes: { postgres_data: {} },
  })
})

test('renderCompose() has a profile for tests, in memory, with its own network and ports', () => {
  const { services } = render({ labels: { team: 'shop' }, postgres: { image: 'pgvector/pgvector:pg18' } })
  const { ports: _ports, volumes: _volumes, restart: _restart, ...rest } = { restart: '', ...services.postgres }
  expect(services['postgres-test']).toEqual({
    ...rest,
    profiles: ['test'],
    ports: ['127.0.0.1::5432'],
    tmpfs: ['/var/lib/postgresql'],
    networks: { test: { aliases: ['postgres'] } },
  })
  expect(services['redis-test']).toMatchObject({ ports: ['127.0.0.1::6379'], tmpfs: ['/data'] })
})

test.for(Object.values(DEFAULT_SERVICES))("renderCompose() publishes $name's port on this machine only", (service) => {
  const { envPortVar, defaultPort, name } = service
  expect(render().services[name]?.ports).toEqual([`127.0.0.1:\${${envPortVar}:-${defaultPort}}:${defaultPort}`])
})

test('renderCompose() gives Redis no volume', () => {
  const { services, volumes } = render({ services: ['redis'] })
  expect(Object.keys(services)).toEqual(['redis', 'redis-test'])
  expect(services.redis).not.toHaveProperty('volumes')
  expect(volumes).toBeUndefined()
})

test('renderCompose() escapes dollar signs for the shell', () => {
  const cmd = 'test "$(redis-cli ping)" = "$PONG" && echo $$'
  const rendered = render({ redis: { healthcheck: { cmd } } }).services.redis?.healthcheck.test[1] ?? ''
  expect(rendered).toBe('test "$$(redis-cli ping)" = "$$PONG" && echo $$$$')
  expect(rendered.replaceAll('$$', () => '$')).toBe(cmd)
})

test('renderCompose() renders labels, and no key without labels', () => {
  const { services } = render({ labels: { team: 'shop' }, redis: { labels: { role: 'cache', team: 'carts' } } })
  expect(services.postgres?.labels).toEqual({ team: 'shop' })
  expect(services.redis?.labels).toEqual({ team: 'carts', role: 'cache' })
  expect(renderCompose(resolve())).not.toContain('labels')
})

// compose puts variables into every text, not only into healthchecks.
// As a block of lines, YAML's writer drops the blank.
test('renderCompose() preserves whitespace and line breaks in labels', () => {
  const labels = { a: ' \n', b: 'c\n\n d' }
  expect(render({ labels }).services.redis?.labels).toEqual(labels)
})

test('renderCompose() preserves dollar signs in labels', () => {
  const { services } = render({ labels: { note: 'costs $5, or ${PRICE}' } })
  expect(services.redis?.labels?.note).toBe('costs $$5, or $${PRICE}')
})

test('renderCompose() follows the spec', () => {
  const { services } = render({
    postgres: { image: 'pgvector/pgvector:pg18', healthcheck: { interval: '250ms', timeout: '1s' } },
  })
  expect(services.postgres).toMatchObject({
    image: 'pgvector/pgvector:pg18',
    healthcheck: { interval: '250ms', timeout: '1s', retries: 240 },
  })
})

test.for(['yes', '5:30', '0x1F', 'null', '~', '- a', '# b', 'a: b', "it's", '"', 'ü', '%', 'a\nb', ' c '])(
  'renderCompose() keeps the label %j as text',
  (label) => {
    expect(render({ labels: { label } }).services.redis?.labels).toEqual({ label })
  },
)
