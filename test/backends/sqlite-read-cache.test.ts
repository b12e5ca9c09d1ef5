// The SQLite backend's read cache: a row is read once, and is held only while it is current.
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { builtIns } from '../../backends/index.js'
import { newFolder } from '../support/folder.js'

const TTL_MS = 60_000
const entry = (text: string) => ({ value: Buffer.from(text), expiresAt: Date.now() + TTL_MS })

async function openTwo (folder: string) {
  const path = join(folder, 'cache.db')
  const open = async () => await builtIns().open({ backend: 'sqlite', options: { path } })
  return { path, one: await open(), other: await open() }
}

t.test('sqlite: a row that is read again is the same object', async (t) => {
  const { one, other } = await openTwo(newFolder(t))
  await one.set('key', entry('value'))
  // The first read finds that the other connection has written: it created its table.
  await one.get('key')
  const read = await one.get('key')
  t.equal((await one.get('key'))?.value, read?.value)
  await Promise.all([one.close(), other.close()])
})

t.test('sqlite: writes, deletes and clears of another connection are seen at once', async (t) => {
  const { one, other } = await openTwo(newFolder(t))
  await one.set('key', entry('old'))
  t.same((await one.get('key'))?.value, Buffer.from('old'))
  await other.set('key', entry('new'))
  t.same((await one.get('key'))?.value, Buffer.from('new'))
  t.same((await one.get('key'))?.value, Buffer.from('new'))
  await other.delete('key')
  t.equal(await one.get('key'), undefined)
  await one.set('key', entry('again'))
  await one.get('key')
  await other.clear!()
  t.equal(await one.get('key'), undefined)
  await Promise.all([one.close(), other.close()])
})

t.test('sqlite: writes, deletes, evictions and clears of the same connection are seen at once', async (t) => {
  const { one, other } = await openTwo(newFolder(t))
  await one.set('key', entry('old'))
  await one.get('key')
  await one.set('key', entry('new'))
  t.same((await one.get('key'))?.value, Buffer.from('new'))
  await one.delete('key')
  t.equal(await one.get('key'), undefined)
  await one.set('key', entry('again'))
  await one.get('key')
  await one.clear!()
  t.equal(await one.get('key'), undefined)
  await Promise.all([one.close(), other.close()])

  const small = await builtIns().open({ backend: 'sqlite', options: { path: join(newFolder(t), 'small.db'), maxEntries: 1 } })
  await small.set('first', entry('first'))
  await small.get('first')
  await small.set('second', entry('second'))
  t.equal(await small.get('first'), undefined, 'evicted')
  await small.close()
})

t.test('sqlite: of rows that don\'t all fit and are read in turn again and again, some are held until their next turn', async (t) => {
  const backend = await builtIns().open({ backend: 'sqlite', options: { path: ':memory:' } })
  const keys = Array.from({ length: 30 }, (_, at) => `key ${at}`)
  for (const key of keys) await backend.set(key, entry('v'.repeat(900_000)))
  const round = async () => await Promise.all(keys.map(async (key) => (await backend.get(key))?.value))
  for (let rounds = 0; rounds < 10; rounds++) await round()
  const [before, after] = [await round(), await round()]
  const held = after.filter((value, at) => value === before[at]).length
  t.ok(held >= 5, `${held} were not read again`)
  t.ok(held < keys.length)
  await backend.close()
})

t.test('sqlite: the memory that long keys take in the read cache is bounded too', async (t) => {
  const backend = await builtIns().open({ backend: 'sqlite', options: { path: ':memory:' } })
  const keys = Array.from({ length: 30 }, (_, at) => `${at} `.repeat(150_000))
  for (const key of keys) await backend.set(key, entry('value'))
  const round = async () => await Promise.all(keys.map(async (key) => (await backend.get(key))?.value))
  const [before, after] = [await round(), await round()]
  const held = after.filter((value, at) => value === before[at]).length
  t.ok(held > 10 && held < 25, `${held} were not read again`)
  await backend.close()
})

t.test('sqlite: a row in the read cache expires at its instant', async (t) => {
  let now = 1_000_000
  const backend = await builtIns().open({ backend: 'sqlite', options: { path: ':memory:' } }, { now: () => now })
  await backend.set('key', { value: Buffer.from('value'), expiresAt: now + 10 })
  t.ok(await backend.get('key'))
  now += 9
  t.ok(await backend.get('key'))
  now += 1
  t.equal(await backend.get('key'), undefined)
  await backend.close()
})

t.test('sqlite: no row of a caller-owned database is held, because its owner may write through the same connection', async (t) => {
  const database = new Database(':memory:')
  const backend = await builtIns().open({ backend: 'sqlite', options: { database } })
  await backend.set('key', entry('value'))
  t.ok(await backend.get('key'))
  database.exec('DELETE FROM cache_entries')
  t.equal(await backend.get('key'), undefined)
  await backend.close()
  database.close()
})
