import { Queue, Worker } from 'bullmq'

export interface Mail {
  readonly to: string
  readonly subject: string
}

const connection = { url: process.env.REDIS_URL ?? 'redis://localhost:6379' }

export const mails = new Queue<Mail, string>('mails', { connection })

/** Processes the queue; `send` delivers a mail. */
export function startWorker(send: (mail: Mail) => Promise<string>): Worker<Mail, string> {
  return new Worker<Mail, string>('mails', ({ data }) => send(data), { connection })
}
