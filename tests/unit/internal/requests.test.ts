import { expect, test } from 'vitest'
import { InfraError } from '../../../src/errors.ts'
import { type Answer, answerRequest, type Request, RequestClient } from '../../../src/internal/requests.ts'

interface Methods {
  add(left: number, right: number): Promise<number>
  fail(): Promise<void>
  wait(): Promise<void>
}

const failure = new InfraError('INFRA_LEASE_LIMIT', { problem: 'Cannot add', remedy: 'Subtract' })
const methods: Methods = {
  add: async (left, right) => left + right,
  fail: () => Promise.reject(failure),
  wait: () => new Promise(() => {}),
}

/** A client whose requests are answered in this process while the connection is open. */
function createClient() {
  const sent: Request[] = []
  const held: boolean[] = []
  const link = { isOpen: true }
  const requests: RequestClient<Methods> = new RequestClient<Methods>({
    send(request) {
      if (link.isOpen) {
        sent.push(request)
        void answerRequest(methods, request).then((answer) => requests.receive(answer))
      }
      return link.isOpen
    },
    hold: (isAwaited) => void held.push(isAwaited),
    closed: { message: 'it has closed' },
    toError: ({ message, code }) => Object.assign(new Error(message), { code }),
  })
  return { requests, remote: requests.remote, sent, held, link }
}

test('a call is answered by the method of the same name', async () => {
  const { remote, sent } = createClient()
  expect(await Promise.all([remote.add(1, 2), remote.add(3, 4)])).toEqual([3, 7])
  expect(sent).toEqual([
    { id: 1, method: 'add', args: [1, 2] },
    { id: 2, method: 'add', args: [3, 4] },
  ])
})

test('an error arrives with its message and its code', async () => {
  const { remote } = createClient()
  await expect(remote.fail()).rejects.toMatchObject({ message: 'Cannot add\nSubtract', code: 'INFRA_LEASE_LIMIT' })
})

test('the connection keeps the process alive as long as an answer is awaited', async () => {
  const { remote, requests, held } = createClient()
  const waiting = remote.wait()
  await remote.add(1, 2)
  expect(held).toEqual([true, true])
  requests.close()
  await expect(waiting).rejects.toThrow('it has closed')
  expect(held).toEqual([true, true, false])
})

test('requests reject when the connection closes, and at once afterwards', async () => {
  const { remote, requests, link } = createClient()
  const waiting = remote.wait()
  link.isOpen = false
  requests.close()
  await expect(waiting).rejects.toThrow('it has closed')
  await expect(remote.add(1, 2)).rejects.toThrow('it has closed')
})

test('an answer that is not awaited is ignored', async () => {
  const { remote, requests } = createClient()
  const adding = remote.add(1, 2)
  requests.rejectAll(new Error('it is not needed'))
  await expect(adding).rejects.toThrow('it is not needed')
  requests.receive({ id: 99, result: 1 })
  expect(await remote.add(1, 2)).toBe(3)
})

test('a remote can be the result of an async function', async () => {
  const { remote, sent } = createClient()
  expect(await (async () => remote)()).toBe(remote)
  expect(sent).toEqual([])
})

test.for([{ id: 1, method: 'toString', args: [] }, { id: 1, method: '__proto__', args: [] }, { id: 1, result: 3 }, {}])(
  'no method is run for %j',
  async (message) => {
    const answer: Answer = await answerRequest(methods, message)
    expect(answer).toMatchObject({ error: { message: expect.stringContaining('it is not a request') } })
  },
)
