import { expect, test } from 'vitest'
import { parseDurationMs } from '../../../src/internal/duration.ts'
import { DEFAULT_SERVICES, DEFAULT_STARTUP_TIMEOUT_MS } from '../../../src/config/infra-service.ts'

// The values of the default services, in full.
test('DEFAULT_SERVICES describes PostgreSQL', () => {
  expect(DEFAULT_SERVICES.postgres).toEqual({
    name: 'postgres',
    image: 'postgres:18-alpine',
    healthcheck: {
      cmd: 'pg_isready --host 127.0.0.1 --port 5432 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB"',
      interval: '5s',
      timeout: '5s',
      retries: 12,
    },
    defaultPort: 5432,
    envPortVar: 'POSTGRES_PORT',
    persistence: true,
    volume: 'postgres_data',
    state: 'stopped',
  })
})

test('DEFAULT_SERVICES describes Redis', () => {
  expect(DEFAULT_SERVICES.redis).toEqual({
    name: 'redis',
    image: 'redis:8-alpine',
    healthcheck: { cmd: 'redis-cli ping | grep PONG', interval: '5s', timeout: '5s', retries: 12 },
    defaultPort: 6379,
    envPortVar: 'REDIS_PORT',
    persistence: false,
    state: 'stopped',
  })
})

test.for(Object.values(DEFAULT_SERVICES))('DEFAULT_SERVICES allows $name a full cold start', ({ healthcheck }) => {
  const windowMs = parseDurationMs(healthcheck.interval, 'interval') * healthcheck.retries
  expect(windowMs).toBeGreaterThanOrEqual(60_000)
  expect(windowMs).toBeGreaterThanOrEqual(DEFAULT_STARTUP_TIMEOUT_MS)
})

// The image's first, temporary server answers on the Unix socket only.
test('DEFAULT_SERVICES checks PostgreSQL over TCP', () => {
  expect(DEFAULT_SERVICES.postgres.healthcheck.cmd).toContain('--host 127.0.0.1')
})
