import { afterAll, expect, test } from 'vitest'
import { mails } from '../src/mails.ts'

afterAll(() => mails.close())

test('a mail waits as long as there is no worker: that of delivery.test.ts is at another Redis', async () => {
  await mails.add('reminder', { to: 'grace@example.org', subject: 'Reminder' })

  expect(await mails.getJobCounts('waiting', 'active', 'completed')).toMatchObject({
    waiting: 1,
    active: 0,
    completed: 0,
  })
})
