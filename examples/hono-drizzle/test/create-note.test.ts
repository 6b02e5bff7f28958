import { afterAll, expect, test } from 'vitest'
import { app } from '../src/app.ts'
import { pool } from '../src/database.ts'

afterAll(() => pool.end())

const post = (title: string) => app.request('/notes', { method: 'POST', body: JSON.stringify({ title }) })

test('a note is stored and found again', async () => {
  const response = await post('Milk')
  expect(response.status).toBe(201)

  const note = (await response.json()) as { id: number }
  expect(await (await app.request(`/notes/${note.id}`)).json()).toEqual({ id: note.id, title: 'Milk' })
})

test('a second note with the same title violates the unique constraint of the migrations', async () => {
  expect((await post('Bread')).status).toBe(201)
  expect((await post('Bread')).status).toBe(409)
})
