// The Keyv backend runs the conformance cases on adapters with servers, files and maps behind them.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import KeyvRedis, { createKeyv } from '@keyv/redis'
import KeyvSqlite from '@keyv/sqlite'
import { Keyv } from 'keyv'
import t, { type Test } from 'tap'
import { builtIns } from '../../backends/index.js'
import type { KeyvOptions } from '../../backends/keyv.js'
import { testClock } from '../support/clock.js'
import { conformance } from '../kit/index.js'
import { conforms } from '../support/conformance.js'
import { startServer } from '../support/redis-server.js'
import { fileNeeds } from '../support/programs.js'
import { someOf } from '../support/size.js'

fileNeeds(t, 'redis-server')

/** Runs the cases. `options` is called for each backend. */
async function check (t: Test, options: () => KeyvOptions): Promise<void> {
  const clock = testClock()
  await conforms(t, { ...clock, open: () => builtIns().open({ backend: 'keyv', options: options() }, { now: clock.now }) },
    someOf(conformance))
}

function newFolder (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyv-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

let numbers = 0

t.test('keyv conforms on @keyv/sqlite, with a file for each backend', async (t) => {
  const folder = newFolder(t)
  await check(t, () => ({ store: new KeyvSqlite(`sqlite://${join(folder, `${numbers++}.db`)}`) }))
})

t.test('keyv conforms on @keyv/redis, with a prefix for each backend', async (t) => {
  const { url } = await startServer(t)
  await check(t, () => ({ store: new KeyvRedis(url), prefix: `p${numbers++}` }))
})

t.test('keyv conforms on a caller-owned Keyv of @keyv/redis without a namespace', async (t) => {
  const { url } = await startServer(t)
  const keyv = createKeyv(url)
  t.teardown(async () => await keyv.disconnect())
  await check(t, () => ({ keyv, prefix: `p${numbers++}` }))
})

t.test('keyv conforms on a caller-owned Keyv whose keys have a namespace', async (t) => {
  const keyv = new Keyv({ store: new KeyvSqlite(), namespace: 'theirs' })
  t.teardown(async () => await keyv.disconnect())
  await check(t, () => ({ keyv, prefix: `p${numbers++}` }))
})

t.test('keyv conforms on a Keyv over a Map', async (t) => {
  await check(t, () => ({ keyv: new Keyv() }))
})
