// Writes compose.yaml and .env.example from the code; a test fails when they differ from it.
import { writeFileSync } from 'node:fs'
import { renderCompose } from '../src/compose/render-compose.ts'
import { renderEnvExample } from '../src/environment/render-env-example.ts'
import { resolveSpec } from '../src/config/resolve-spec.ts'

const spec = resolveSpec({}, { root: import.meta.dirname, source: 'the defaults', environment: { process: {} } })
writeFileSync(new URL('../compose.yaml', import.meta.url), renderCompose(spec))
writeFileSync(new URL('../.env.example', import.meta.url), renderEnvExample())
