import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { canTestsRun, renderDiagnosis } from '../../../src/report/render-diagnosis.ts'

const pipe = new PassThrough() as unknown as NodeJS.WriteStream
const well = { name: 'node', text: 'Node 24' }
const optional = { name: 'embedded', text: 'redis: none', remedy: 'Run: apt-get install redis', isOptional: true }
const wrong = { name: 'engine', text: 'Nothing answers\n  DOCKER_HOST: refused', remedy: 'Start it' }

test('every finding has a mark, and each failure has a remedy', () => {
  expect(renderDiagnosis([well, optional, wrong], pipe)).toMatchInlineSnapshot(`
    "✓ node      Node 24
    ✗ embedded  redis: none (tests run without it)
                → Run: apt-get install redis
    ✗ engine    Nothing answers
                  DOCKER_HOST: refused
                → Start it
    "
  `)
})

test('an optional finding does not prevent tests', () => {
  expect([canTestsRun([well, optional]), canTestsRun([well, wrong])]).toEqual([true, false])
})
