// Four processes on one store: responses that can't be shared, and handlers that fail, hold nobody up.
import t from 'tap'
import { onAllStores, onTwoStores } from '../support/peer-stores.js'
import { startPeers, type Behaviour } from '../support/peers.js'

const HANDLER_MS = 500

const PRIVATE: ReadonlyArray<readonly [name: string, fields: Record<string, string>]> = [
  ['private', { 'cache-control': 'private' }],
  ['Set-Cookie', { 'set-cookie': 'a=b' }]
]

t.test('200 requests for a response that is not shareable run the handler in two or three rounds, and the next 200 in one', async (t) => {
  await onAllStores(t, async (t, { choice }) => {
    const { peers, data } = await startPeers(t, choice)
    for (const [id, [name, fields]] of PRIVATE.entries()) {
      const path = `/plain/${id}`
      const askAll = async () => await Promise.all(Array.from({ length: 200 }, async (_, at) => await peers[at % 4]!.ask(path)))
      for (const peer of peers) await peer.behave({ ms: HANDLER_MS, fields })
      const began = performance.now()
      t.ok((await askAll()).every(({ status }) => status === 200))
      t.comment(`${name}: 200 requests took ${((performance.now() - began) / HANDLER_MS).toFixed(1)} times as long as one handler`)
      t.equal(data.runs(path), 200)
      const rounds = data.longestChain(path)
      t.ok(rounds <= 3, `${name}: ${rounds} rounds`)
      const before = data.lines((other) => other === path).length
      t.ok((await askAll()).every(({ status }) => status === 200))
      const more = data.longestChain(path, before)
      // On a busy machine, the last requests may arrive after the first handlers have ended.
      t.ok(more <= 2, `${name}: then ${more}`)
    }
  })
})

// In one process, the requests that have waited for a handler that fails all run it themselves.
t.test('a handler that fails in one process runs in the next, one process at a time', async (t) => {
  await onTwoStores(t, async (t, { choice }) => {
    const { peers, data } = await startPeers(t, choice, { options: { lockTimeout: '30s' } })
    const failing: Behaviour = { ms: 50, fails: true }
    for (const peer of peers) await peer.behave(failing)
    const responses = await Promise.all(peers.map(async (peer) => await peer.ask('/plain/1')))
    t.ok(responses.every(({ status }) => status === 500))
    t.equal(data.mostAtOnce('/plain/1'), 1)
    for (const peer of peers) await peer.behave({})
    t.equal((await peers[0]!.ask('/plain/1')).status, 200)
  })
})

t.test('while a handler fails again and again, nobody waits longer than lockTimeout', async (t) => {
  await onTwoStores(t, async (t, { choice }) => {
    const { peers } = await startPeers(t, choice, { options: { lockTimeout: '1s' } })
    for (const peer of peers) await peer.behave({ ms: 300, fails: true })
    const responses = await Promise.all(Array.from({ length: 100 }, async (_, at) => await peers[at % 4]!.ask('/plain/1')))
    t.ok(responses.every(({ status }) => status === 500))
    const slowestMs = Math.max(...responses.map(({ ms }) => ms))
    t.comment(`the slowest request took ${slowestMs.toFixed(0)} ms`)
    // One after another, they would take 30 seconds.
    t.ok(slowestMs < 4_000)
  })
})
