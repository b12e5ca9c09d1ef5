// Changes on their way, on a clock and a service of the test's own: call order, retries within bounds, nothing that comes alive later.
import t from 'tap'
import { HttpWriteQueue, MAX_WAITING_BYTES, MAX_WAITING_KEYS, type Outcome } from '../../backends/http/write-queue.js'
import { turns } from '../support/barrier.js'
import { entry } from '../support/http.js'

const TIMEOUT_MS = 5_000
const DONE: Outcome = { kind: 'done' }
const failed = (message: string, retryAfterMs?: number): Outcome => ({ kind: 'failed', error: new Error(message), retryAfterMs })

/** What a promise has come to so far. */
function watched (promise: Promise<unknown>) {
  const state = { is: 'pending' }
  promise.then(() => { state.is = 'resolved' }, (error: Error) => { state.is = `rejected: ${error.message}` })
  return state
}

/** Changes with a clock, waits and answers that the test decides on. */
function setUp ({ maxRetries = 3 } = {}) {
  let at = 0
  const sent: Array<{ text: string, answer: (outcome: Outcome) => Promise<void> }> = []
  const waits: Array<{ ms: number, over: () => Promise<void>, isWoken: () => boolean }> = []
  const changes = new HttpWriteQueue({
    send: (change, timeoutMs) => new Promise((resolve) => {
      sent.push({
        text: `${change.entry === undefined ? 'delete' : Buffer.from(change.entry.value).toString()} of ${change.key} within ${timeoutMs}`,
        answer: async (outcome) => {
          resolve(outcome)
          await turns(2)
        }
      })
    }),
    wait: (ms, signal) => new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve())
      waits.push({ ms, isWoken: () => signal.aborted, over: async () => { at += ms; resolve(); await turns(2) } })
    }),
    random: () => 1,
    now: () => at,
    timeoutMs: TIMEOUT_MS,
    maxRetries
  })
  const put = (key: string, text?: string) => watched(changes.put({ key, entry: text === undefined ? undefined : entry(text) }))
  return {
    changes, sent, waits, put, pass: (ms: number) => { at += ms }, texts: () => sent.map(({ text }) => text.replace(/ within.*/, ''))
  }
}

t.test('http: a change is sent in the turn in which it is called', async (t) => {
  const { sent, put } = setUp()
  put('a', '1')
  put('b')
  t.same(sent.map(({ text }) => text), ['1 of a within 5000', 'delete of b within 5000'])
})

t.test('http: a change waits for the one before it on the same key, and of those that wait the last is sent for all', async (t) => {
  const { sent, put, texts } = setUp()
  const states = [put('a', '1'), put('a', '2'), put('a'), put('a', '3')]
  await turns(2)
  t.same(texts(), ['1 of a'])
  await sent[0]!.answer(DONE)
  t.same(texts(), ['1 of a', '3 of a'])
  t.same(states.map(({ is }) => is), ['resolved', 'pending', 'pending', 'pending'])
  await sent[1]!.answer(DONE)
  t.same(states.map(({ is }) => is), Array(4).fill('resolved'))
})

t.test('http: a change that failed is sent again after waits that grow, until its retries are used up', async (t) => {
  const { sent, waits, put } = setUp({ maxRetries: 3 })
  const state = put('a', '1')
  for (let retry = 0; retry < 3; retry++) {
    await sent[retry]!.answer(failed(`503 the ${retry}.`))
    t.equal(state.is, 'pending')
    await waits[retry]!.over()
  }
  await sent[3]!.answer(failed('503 at last'))
  t.equal(state.is, 'rejected: 503 at last')
  t.same(waits.map(({ ms }) => ms), [100, 200, 400])
  t.equal(sent.length, 4)
  t.equal(sent[3]!.text, '1 of a within 4300', 'what is left of its time')
})

t.test('http: no retries means one attempt, and that one is made', async (t) => {
  const { sent, put } = setUp({ maxRetries: 0 })
  const state = put('a')
  await sent[0]!.answer(failed('503'))
  t.equal(state.is, 'rejected: 503')
  t.equal(sent.length, 1)
})

t.test('http: what is refused is not sent again', async (t) => {
  const { sent, put } = setUp()
  const state = put('a')
  await sent[0]!.answer({ kind: 'refused', error: new Error('403') })
  t.equal(state.is, 'rejected: 403')
  t.equal(sent.length, 1)
})

t.test('http: nothing is sent any more once the time of a change is over, so that it can not come alive later', async (t) => {
  const { sent, waits, put, pass } = setUp({ maxRetries: 100 })
  const state = put('a', 'old')
  for (let retry = 0; state.is === 'pending'; retry++) {
    pass(700)
    await sent[retry]!.answer(failed('503'))
    await waits[retry]?.over()
  }
  t.equal(state.is, 'rejected: 503')
  const count = sent.length
  await turns()
  t.equal(sent.length, count)
  t.equal(waits.reduce((sum, { ms }) => sum + ms, 0) + count * 700 <= TIMEOUT_MS + 700, true)
})

t.test('http: a set that waits to be tried again never overwrites a later delete or set of its key', async (t) => {
  for (const later of [undefined, 'new']) {
    const { sent, waits, put, texts } = setUp()
    const old = put('a', 'old')
    await sent[0]!.answer(failed('503'))
    const next = put('a', later)
    await turns(2)
    t.ok(waits[0]!.isWoken(), 'the wait ends at once')
    t.same(texts(), ['old of a', `${later ?? 'delete'} of a`])
    t.same([old.is, next.is], ['pending', 'pending'])
    await sent[1]!.answer(DONE)
    t.same([old.is, next.is], ['resolved', 'resolved'])
    t.equal(sent.length, 2)
  }
})

t.test('http: a delete in whose place a set stood rejects when that set was not confirmed', async (t) => {
  const { sent, put } = setUp({ maxRetries: 0 })
  put('a', '1')
  const states = [put('a'), put('a', '2')]
  await sent[0]!.answer(DONE)
  await sent[1]!.answer(failed('503'))
  t.same(states.map(({ is }) => is), ['rejected: 503', 'rejected: 503'])
})

t.test('http: a change is not handed on from one to the next for longer than its own time', async (t) => {
  const { sent, put, pass } = setUp({ maxRetries: 100 })
  const first = put('a')
  for (let at = 0; at < 8; at++) {
    pass(1_000)
    put('a', String(at))
    await sent[at]!.answer(failed(`503 ${at}`))
  }
  t.equal(first.is, 'rejected: 503 4')
})

t.test('http: Retry-After is waited for when there is time for it, and else the change is given up at once', async (t) => {
  const { sent, waits, put } = setUp()
  const patient = put('a')
  await sent[0]!.answer(failed('429', 2_000))
  t.equal(waits[0]!.ms, 2_000)
  t.equal(patient.is, 'pending')
  const hopeless = put('b')
  await sent[1]!.answer(failed('503', 3_600_000))
  t.equal(hopeless.is, 'rejected: 503')
  t.equal(waits.length, 1)
})

t.test('http: what is on its way is told to who reads, and forgotten when it has settled', async (t) => {
  const { changes, sent, put } = setUp({ maxRetries: 0 })
  put('a', '1')
  put('a')
  t.match(changes.find('a'), { key: 'a', entry: undefined })
  await sent[0]!.answer(DONE)
  t.match(changes.find('a'), { key: 'a', entry: undefined })
  await sent[1]!.answer(failed('503'))
  t.equal(changes.find('a'), undefined)
})

t.test('http: the keys and the bytes that wait are bounded, and come free again', async (t) => {
  const keys = setUp()
  for (let at = 0; at < MAX_WAITING_KEYS; at++) keys.put(String(at))
  const tooMany = keys.put('one more')
  const known = keys.put('0', 'again')
  await turns(2)
  t.match(tooMany.is, /rejected: .*too many changes/)
  t.equal(known.is, 'pending', 'a key that waits already takes no more room')
  await keys.sent[1]!.answer(DONE)
  t.equal(keys.put('one more').is, 'pending')

  const bytes = setUp({ maxRetries: 0 })
  const value = Buffer.alloc(MAX_WAITING_BYTES / 2)
  const outcomes = Array.from({ length: 3 }, (_, at) =>
    watched(bytes.changes.put({ key: String(at), entry: { value, expiresAt: Infinity } })))
  await turns(2)
  t.same(outcomes.map(({ is }) => is.slice(0, 8)), ['pending', 'pending', 'rejected'])
  t.equal(bytes.put('a delete').is, 'pending')
  for (const outcome of [DONE, failed('503')]) await bytes.sent.shift()!.answer(outcome)
  for (let at = 0; at < 2; at++) bytes.changes.put({ key: `again ${at}`, entry: { value, expiresAt: Infinity } }).catch(t.error)
  await turns(2)
  // What replaces one that waits takes its room.
  bytes.changes.put({ key: 'again 0', entry: { value: value.subarray(1), expiresAt: Infinity } }).then(
    () => t.fail('there is no room'), () => {})
  await turns(2)
})

t.test('close rejects what waits, wakes what would be tried again, and sends nothing more', async (t) => {
  const { changes, sent, waits, put } = setUp()
  const retried = put('a')
  await sent[0]!.answer(failed('503'))
  const underWay = put('b', '1')
  const behind = put('b', '2')
  changes.close()
  changes.close()
  const afterwards = put('c')
  await turns(2)
  t.ok(waits[0]!.isWoken())
  for (const { is } of [retried, underWay, behind, afterwards]) t.match(is, /^rejected: .*closed/)
  await sent[1]!.answer(DONE)
  t.equal(sent.length, 2)
})
