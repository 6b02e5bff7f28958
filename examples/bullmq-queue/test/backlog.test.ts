import { afterAll, expect, test } from 'vitest'
import { mails } from '../src/mails.ts'

afterAll(() => mails.close())

test('a mail stays queued without a worker: delivery.test.ts uses another Redis', async () => {
  await mails.add('reminder', { to: 'grace@example.org', subject: 'Reminder' })

  expect(await mails.getJobCounts('waiting', 'active', 'completed')).toMatchObject({
    waiting: 1,
    active: 0,
    completed: 0,
  })
})
