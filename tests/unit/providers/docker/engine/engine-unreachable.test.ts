import { expect, test } from 'vitest'
import { claimFailed, noEngineAnswered } from '../../../../../src/providers/docker/engine/engine-unreachable.ts'
import { ProbeError } from '../../../../../src/providers/docker/engine/engine-errors.ts'

// The tests often run as root, which no socket refuses.
const denied = ProbeError.from(Object.assign(new Error('connect EACCES'), { code: 'EACCES' }))

test('noEngineAnswered() explains how to get access to a socket', () => {
  expect(noEngineAnswered(['DOCKER_HOST: not set', `/var/run/docker.sock: ${denied.message}`]).message).toBe(
    'Cannot reach a container engine: none of the places where the docker command looks answered\n' +
      '  DOCKER_HOST: not set\n' +
      '  /var/run/docker.sock: permission is denied (EACCES)\n' +
      'Add yourself to the docker group ("sudo usermod -aG docker $USER", then log in again), ' +
      'or set DOCKER_HOST to a running engine',
  )
})

test('claimFailed() explains how to get access to a socket', () => {
  const claim = { source: 'DOCKER_HOST', host: 'unix:///e.sock', claim: 'DOCKER_HOST is set', withdrawal: 'unset it' }
  expect(claimFailed(claim, denied).message).toBe(
    'Cannot reach the container engine at unix:///e.sock: DOCKER_HOST is set, but permission is denied (EACCES)\n' +
      'Add yourself to the docker group ("sudo usermod -aG docker $USER", then log in again), or unset it',
  )
})
