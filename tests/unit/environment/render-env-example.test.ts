import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { expect, test } from 'vitest'
import { assertMirror } from '../../../src/compose/assert-mirror.ts'
import { renderEnvExample } from '../../../src/environment/render-env-example.ts'
import { BASE_VARIABLES } from '../../../src/environment/variable-set.ts'
import { DEFAULT_SERVICES } from '../../../src/config/infra-service.ts'
import { catchInfraError } from '../support/catch-infra-error.ts'

const file = readFileSync(new URL('../../../.env.example', import.meta.url), 'utf8')

test('renderEnvExample() renders the .env.example of this repository', () => {
  expect(() => assertMirror('.env.example', file, renderEnvExample())).not.toThrow()
})

test('renderEnvExample() names every base variable with its default, and nothing else', () => {
  expect(parseEnv(renderEnvExample())).toEqual(BASE_VARIABLES)
})

test.for(Object.values(DEFAULT_SERVICES))("renderEnvExample() names $envPortVar, $name's port", (service) => {
  expect(parseEnv(renderEnvExample())[service.envPortVar]).toBe(String(service.defaultPort))
})

test.for(Object.keys(BASE_VARIABLES))('assertMirror() detects a missing %s in .env.example', async (name) => {
  const renamed = file.replace(`${name}=`, `${name}_X=`)
  expect(renamed).not.toBe(file)
  const error = await catchInfraError(() => assertMirror('.env.example', renamed, renderEnvExample()))
  expect(error.code).toBe('INFRA_MIRROR_DIFFERS')
  expect(error.message).toContain(name)
})
