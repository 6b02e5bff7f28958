import { once } from 'node:events'
import { afterAll, expect, test } from 'vitest'
import { type Mail, mails, startWorker } from '../src/mails.ts'

const sent: Mail[] = []
const worker = startWorker(async (mail) => `message ${sent.push(mail)}`)

afterAll(async () => {
  await worker.close()
  await mails.close()
})

test('the worker delivers each queued mail once and stores the result', async () => {
  const completed = once(worker, 'completed')
  const job = await mails.add('welcome', { to: 'ada@example.org', subject: 'Welcome' })
  await completed

  // The mail that backlog.test.ts queues under the same name never arrives here.
  expect(sent).toEqual([{ to: 'ada@example.org', subject: 'Welcome' }])
  expect((await mails.getJob(job.id ?? ''))?.returnvalue).toBe('message 1')
})
