import { afterAll, beforeAll, expect, test } from 'vitest'
import { CLAIMS } from './claims.ts'
import { type Docker, openDocker } from './docker-command.ts'

// The properties of the official images and of an engine on which this project relies, checked with the images and the
// engine of these tests.

let docker: Docker

beforeAll(async () => {
  docker = await openDocker(process.env)
})
afterAll(() => docker.close())

test.for(CLAIMS)('$title', async (claim) => {
  await expect(claim.check(docker)).resolves.toBeUndefined()
})
