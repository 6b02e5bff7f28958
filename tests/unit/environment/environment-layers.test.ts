import { expect, test } from 'vitest'
import { createVariableLookup, variableNames } from '../../../src/environment/environment-layers.ts'

test('createVariableLookup() reads the process, then .env, then .env.example', () => {
  const lookup = createVariableLookup({
    process: { A: 'process' },
    envFile: 'A=env\nB=env\n',
    envExample: 'A=example\nB=example\nC=example\n',
  })
  expect(['A', 'B', 'C', 'D'].map(lookup)).toEqual(['process', 'env', 'example', undefined])
})

test('createVariableLookup() treats an empty value as unset in every layer', () => {
  const lookup = createVariableLookup({ process: { A: '', B: '' }, envFile: 'A=""\nB=', envExample: 'A=example\nB=\n' })
  expect(['A', 'B'].map(lookup)).toEqual(['example', undefined])
})

test('createVariableLookup() needs no files', () => {
  const lookup = createVariableLookup({ process: { A: 'process' } })
  expect(['A', 'B'].map(lookup)).toEqual(['process', undefined])
})

test('createVariableLookup() reads quotes, comments and export as Node does', () => {
  const envFile = [
    '# comment',
    'PLAIN=a # rest',
    "SINGLE='a # b'",
    'DOUBLE="a\\nb"',
    'export EXPORTED=c',
    'SPACES =  d  ',
  ].join('\r\n')
  const lookup = createVariableLookup({ process: {}, envFile })
  expect(['PLAIN', 'SINGLE', 'DOUBLE', 'EXPORTED', 'SPACES'].map(lookup)).toEqual(['a', 'a # b', 'a\nb', 'c', 'd'])
})

test('variableNames() lists what a file sets', () => {
  expect(variableNames('B=1\n# C=2\nA=\nexport D=3\n').toSorted()).toEqual(['A', 'B', 'D'])
})
