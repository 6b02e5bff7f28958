import { afterAll, beforeAll, expect, test } from 'vitest'
import { CLAIMS } from './claims.ts'
import { type Docker, openDocker } from './docker-command.ts'

// What this project relies on in the official images and in an engine, asked of those that these tests run on.

let docker: Docker

beforeAll(async () => {
  docker = await openDocker(process.env)
})
afterAll(() => docker.close())

test.for(CLAIMS)('$title', async (claim) => {
  await expect(claim.check(docker)).resolves.toBeUndefined()
})
