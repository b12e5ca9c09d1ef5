// Processes whose clocks differ by ten minutes and by a day: one fills a key at a time, and nothing old is served.
import t from 'tap'
import { join } from 'node:path'
import { newFolder } from '../support/folder.js'
import { onTwoStores } from '../support/peer-stores.js'
import { pathOf, placeOf } from '../support/peer-ways.js'
import { startPeers } from '../support/peers.js'
import { fileNeeds } from '../support/programs.js'
import { until } from '../support/redis-server.js'
import { WallClock } from '../support/served.js'

fileNeeds(t, 'faketime')

const AHEAD: ReadonlyArray<readonly [name: string, seconds: number]> = [
  ['ten minutes ahead', 600], ['ten minutes behind', -600], ['a day ahead', 86_400], ['a day behind', -86_400]
]

for (const [name, seconds] of AHEAD) {
  t.test(`one of two processes is ${name}: one fills at a time, and what is invalidated by one is not served by the other`, async (t) => {
    await onTwoStores(t, async (t, { choice }) => {
      const wall = new WallClock(join(newFolder(t), 'wall'))
      wall.set(seconds)
      // Only the second one has the other clock. An entry lives longer than the clocks differ.
      const { peers, data } = await startPeers(t, choice, {
        count: 2, cache: { ttl: '3d' }, env: (at) => (at === 1 ? wall.env : {})
      })
      for (const peer of peers) await peer.behave({ ms: 300 })
      const path = pathOf('plain', 1)
      const responses = await Promise.all(Array.from({ length: 40 }, async (_, at) => await peers[at % 2]!.ask(path)))
      t.ok(responses.every(({ status, number }) => status === 200 && number === 0))
      t.equal(data.mostAtOnce(path), 1, 'one at a time')
      // An entry from the future is a miss, so that the process whose clock is behind may fill once more.
      t.ok(data.runs(path) <= 2)
      for (const peer of peers) await peer.behave({})
      for (let number = 1; number <= 6; number++) {
        data.write(placeOf('plain', 1), number)
        await peers[number % 2]!.invalidate({ url: path })
        t.same(await Promise.all(peers.map(async (peer) => (await peer.ask(path)).number)), [number, number])
      }
      await until('an invalidation during a fill holds', async () => {
        await peers[0]!.behave({ holds: true })
        const before = peers[0]!.reachedTimes
        await peers[1]!.invalidate({ url: path })
        const first = peers[0]!.ask(path)
        await peers[0]!.reached(before + 1)
        data.write(placeOf('plain', 1), 7)
        await peers[1]!.invalidate({ url: path })
        await peers[0]!.behave({})
        await peers[0]!.open()
        await first
        return (await Promise.all(peers.map(async (peer) => (await peer.ask(path)).number))).every((number) => number === 7)
      })
    })
  })
}
