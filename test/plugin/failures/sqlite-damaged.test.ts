// A SQLite file in which a byte was flipped. SQLite does not notice, the entry's own checksum does.
import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { build, databasePath } from '../../support/app.js'

const BODY = 'a body that is in the file as it is'

t.test('a flipped byte in a stored body or head is a miss that is counted, and the handler responds', async (t) => {
  const path = databasePath(t)
  const open = async () => await build(t, {
    backend: 'sqlite',
    options: { path },
    routes: (app, probe) => app.get('/', { config: { cache: { ttl: '1h' } } }, async () => { probe.ran(); return BODY })
  })
  for (const place of [BODY, '"kind":"response"']) {
    const first = await open()
    await first.ask('/')
    t.match(await first.ask('/'), { hit: true, text: BODY })
    await first.app.close()

    const bytes = readFileSync(path)
    const at = bytes.indexOf(place)
    t.ok(at > 0, 'it is there')
    bytes[at + 3]! ^= 1
    writeFileSync(path, bytes)

    const second = await open()
    t.match(await second.ask('/'), { hit: false, text: BODY }, `a bit in ${place}`)
    t.equal((await second.cache.stats()).damaged, 1)
    t.match(await second.ask('/'), { hit: true, text: BODY }, 'it is stored anew')
    await second.app.close()
  }
})
