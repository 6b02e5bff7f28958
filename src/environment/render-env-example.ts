import { BASE_VARIABLES } from './variable-set.ts'

/** Renders `.env.example`: every variable that a user may set, with its default. */
export function renderEnvExample(): string {
  const lines = Object.entries(BASE_VARIABLES).map(([name, value]) => `${name}=${value}`)
  return [
    '# Copy to .env to change a value. Rendered from the code: npm run render.',
    '# The ports are for docker compose; a test run uses free ones.',
    ...lines,
    '',
  ].join('\n')
}
