import { eq } from 'drizzle-orm'
import { Hono } from 'hono'
import { db } from './database.ts'
import { notes } from './schema.ts'

export const app = new Hono()

app.get('/notes', async (context) => context.json(await db.select().from(notes).orderBy(notes.id)))

app.get('/notes/:id{[0-9]+}', async (context) => {
  const [note] = await db
    .select()
    .from(notes)
    .where(eq(notes.id, Number(context.req.param('id'))))
  return note ? context.json(note) : context.notFound()
})

app.post('/notes', async (context) => {
  const { title } = await context.req.json<{ title: string }>()
  const [note] = await db.insert(notes).values({ title }).onConflictDoNothing().returning()
  return note ? context.json(note, 201) : context.json({ error: 'There is a note of this title' }, 409)
})
