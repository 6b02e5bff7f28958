import { afterAll, expect, test } from 'vitest'
import { app } from '../src/app.ts'
import { pool } from '../src/database.ts'

afterAll(() => pool.end())

// This file has its own database, without the notes of the other file.
test('the list of notes is empty at first', async () => {
  expect(await (await app.request('/notes')).json()).toEqual([])
})

test('a request for a missing note returns 404', async () => {
  expect((await app.request('/notes/1')).status).toBe(404)
})
