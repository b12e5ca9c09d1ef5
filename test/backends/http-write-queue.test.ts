// The HTTP backend's write queue, on a clock and a service of the test's own: call order, bounded retries, and no change that applies late.
import t from 'tap'
import { HttpWriteQueue, MAX_WAITING_BYTES, MAX_WAITING_KEYS, type SendResult } from '../../backends/http/write-queue.js'
import { turns } from '../support/barrier.js'
import { entry } from '../support/http.js'

const TIMEOUT_MS = 5_000
const DONE: SendResult = { kind: 'done' }
const failed = (message: string, retryAfterMs?: number): SendResult => ({ kind: 'failed', error: new Error(message), retryAfterMs })

/** The current state of a promise. */
function watched (promise: Promise<unknown>) {
  const state = { is: 'pending' }
  promise.then(() => { state.is = 'resolved' }, (error: Error) => { state.is = `rejected: ${error.message}` })
  return state
}

/** A write queue whose clock, waits and outcomes the test decides. */
function setUp ({ maxRetries = 3 } = {}) {
  let at = 0
  const sent: Array<{ text: string, settle: (outcome: SendResult) => Promise<void> }> = []
  const waits: Array<{ ms: number, over: () => Promise<void>, isWoken: () => boolean }> = []
  const changes = new HttpWriteQueue({
    send: (change, timeoutMs) => new Promise((resolve) => {
      sent.push({
        text: `${change.entry === undefined ? 'delete' : Buffer.from(change.entry.value).toString()} of ${change.key} within ${timeoutMs}`,
        settle: async (outcome) => {
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

t.test('http: a change waits for the one before it on the same key, and of several waiting changes only the last is sent', async (t) => {
  const { sent, put, texts } = setUp()
  const states = [put('a', '1'), put('a', '2'), put('a'), put('a', '3')]
  await turns(2)
  t.same(texts(), ['1 of a'])
  await sent[0]!.settle(DONE)
  t.same(texts(), ['1 of a', '3 of a'])
  t.same(states.map(({ is }) => is), ['resolved', 'pending', 'pending', 'pending'])
  await sent[1]!.settle(DONE)
  t.same(states.map(({ is }) => is), Array(4).fill('resolved'))
})

t.test('http: a change that failed is sent again after growing waits, until its retries are used up', async (t) => {
  const { sent, waits, put } = setUp({ maxRetries: 3 })
  const state = put('a', '1')
  for (let retry = 0; retry < 3; retry++) {
    await sent[retry]!.settle(failed(`503 the ${retry}.`))
    t.equal(state.is, 'pending')
    await waits[retry]!.over()
  }
  await sent[3]!.settle(failed('503 at last'))
  t.equal(state.is, 'rejected: 503 at last')
  t.same(waits.map(({ ms }) => ms), [100, 200, 400])
  t.equal(sent.length, 4)
  t.equal(sent[3]!.text, '1 of a within 4300', 'the rest of its time')
})

t.test('http: without retries there is exactly one attempt', async (t) => {
  const { sent, put } = setUp({ maxRetries: 0 })
  const state = put('a')
  await sent[0]!.settle(failed('503'))
  t.equal(state.is, 'rejected: 503')
  t.equal(sent.length, 1)
})

t.test('http: a change that was refused is not sent again', async (t) => {
  const { sent, put } = setUp()
  const state = put('a')
  await sent[0]!.settle({ kind: 'refused', error: new Error('403') })
  t.equal(state.is, 'rejected: 403')
  t.equal(sent.length, 1)
})

t.test('http: a refused write rejects at once, even if another one waits', async (t) => {
  const { sent, put } = setUp()
  const [refused, later] = [put('a', '1'), put('a', '2')]
  await sent[0]!.settle({ kind: 'refused', error: new Error('403') })
  t.same([refused.is, later.is], ['rejected: 403', 'pending'])
  await sent[1]!.settle(DONE)
  t.same([refused.is, later.is], ['rejected: 403', 'resolved'])
})

t.test('http: a change is not sent after its time has passed, so that it can\'t apply late', async (t) => {
  const { sent, waits, put, pass } = setUp({ maxRetries: 100 })
  const state = put('a', 'old')
  for (let retry = 0; state.is === 'pending'; retry++) {
    pass(700)
    await sent[retry]!.settle(failed('503'))
    await waits[retry]?.over()
  }
  t.equal(state.is, 'rejected: 503')
  const count = sent.length
  await turns()
  t.equal(sent.length, count)
  t.equal(waits.reduce((sum, { ms }) => sum + ms, 0) + count * 700 <= TIMEOUT_MS + 700, true)
})

t.test('http: a set that waits for a retry never overwrites a later delete or set of its key', async (t) => {
  for (const later of [undefined, 'new']) {
    const { sent, waits, put, texts } = setUp()
    const old = put('a', 'old')
    await sent[0]!.settle(failed('503'))
    const next = put('a', later)
    await turns(2)
    t.ok(waits[0]!.isWoken(), 'the wait ends at once')
    t.same(texts(), ['old of a', `${later ?? 'delete'} of a`])
    t.same([old.is, next.is], ['pending', 'pending'])
    await sent[1]!.settle(DONE)
    t.same([old.is, next.is], ['resolved', 'resolved'])
    t.equal(sent.length, 2)
  }
})

t.test('http: a delete that a later set replaced rejects if that set was not confirmed', async (t) => {
  const { sent, put } = setUp({ maxRetries: 0 })
  put('a', '1')
  const states = [put('a'), put('a', '2')]
  await sent[0]!.settle(DONE)
  await sent[1]!.settle(failed('503'))
  t.same(states.map(({ is }) => is), ['rejected: 503', 'rejected: 503'])
})

t.test('http: a change that is replaced again and again waits no longer than its own time', async (t) => {
  const { sent, put, pass } = setUp({ maxRetries: 100 })
  const first = put('a')
  for (let at = 0; at < 8; at++) {
    pass(1_000)
    put('a', String(at))
    await sent[at]!.settle(failed(`503 ${at}`))
  }
  t.equal(first.is, 'rejected: 503 4')
})

t.test('http: Retry-After is obeyed if there is time for it, and otherwise the change is given up at once', async (t) => {
  const { sent, waits, put } = setUp()
  const patient = put('a')
  await sent[0]!.settle(failed('429', 2_000))
  t.equal(waits[0]!.ms, 2_000)
  t.equal(patient.is, 'pending')
  const hopeless = put('b')
  await sent[1]!.settle(failed('503', 3_600_000))
  t.equal(hopeless.is, 'rejected: 503')
  t.equal(waits.length, 1)
})

t.test('http: find returns a pending change until it has settled', async (t) => {
  const { changes, sent, put } = setUp({ maxRetries: 0 })
  put('a', '1')
  put('a')
  t.match(changes.find('a'), { key: 'a', entry: undefined })
  await sent[0]!.settle(DONE)
  t.match(changes.find('a'), { key: 'a', entry: undefined })
  await sent[1]!.settle(failed('503'))
  t.equal(changes.find('a'), undefined)
})

t.test('http: the waiting keys and bytes are bounded, and their room becomes free again', async (t) => {
  const keys = setUp()
  for (let at = 0; at < MAX_WAITING_KEYS; at++) keys.put(String(at))
  const tooMany = keys.put('one more')
  const known = keys.put('0', 'again')
  await turns(2)
  t.match(tooMany.is, /rejected: .*too many changes/)
  t.equal(known.is, 'pending', 'a key that already waits takes no more room')
  await keys.sent[1]!.settle(DONE)
  t.equal(keys.put('one more').is, 'pending')

  const bytes = setUp({ maxRetries: 0 })
  const value = Buffer.alloc(MAX_WAITING_BYTES / 2)
  const outcomes = Array.from({ length: 3 }, (_, at) =>
    watched(bytes.changes.put({ key: String(at), entry: { value, expiresAt: Infinity } })))
  await turns(2)
  t.same(outcomes.map(({ is }) => is.slice(0, 8)), ['pending', 'pending', 'rejected'])
  t.equal(bytes.put('a delete').is, 'pending')
  for (const outcome of [DONE, failed('503')]) await bytes.sent.shift()!.settle(outcome)
  for (let at = 0; at < 2; at++) bytes.changes.put({ key: `again ${at}`, entry: { value, expiresAt: Infinity } }).catch(t.error)
  await turns(2)
  // A change that replaces a waiting one takes its room.
  bytes.changes.put({ key: 'again 0', entry: { value: value.subarray(1), expiresAt: Infinity } }).then(
    () => t.fail('there is no room'), () => {})
  await turns(2)
})

t.test('http: close rejects waiting changes, ends the waits for retries, and sends nothing more', async (t) => {
  const { changes, sent, waits, put } = setUp()
  const retried = put('a')
  await sent[0]!.settle(failed('503'))
  const underWay = put('b', '1')
  const behind = put('b', '2')
  changes.close()
  changes.close()
  const afterwards = put('c')
  await turns(2)
  t.ok(waits[0]!.isWoken())
  for (const { is } of [retried, underWay, behind, afterwards]) t.match(is, /^rejected: .*closed/)
  await sent[1]!.settle(DONE)
  t.equal(sent.length, 2)
})
