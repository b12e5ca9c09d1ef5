// The unstorage backend: conformance on several drivers, its options, errors that drivers hide, files, cleanup.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createStorage, prefixStorage } from 'unstorage'
import fsDriver from 'unstorage/drivers/fs'
import fsLiteDriver from 'unstorage/drivers/fs-lite'
import memoryDriver from 'unstorage/drivers/memory'
import redisDriver from 'unstorage/drivers/redis'
import { builtIns } from '../../backends/index.js'
import unstorage, { type UnstorageOptions } from '../../backends/unstorage.js'
import { openStorage } from '../../backends/unstorage/driver.js'
import { nameOf, storedKey } from '../../registry/codec.js'
import { testClock } from '../support/clock.js'
import { conformance } from '../kit/index.js'
import { conforms } from '../support/conformance.js'
import { startServer } from '../support/redis-server.js'
import { failureOf, textAt } from '../support/entries.js'
import { entry } from '../support/redis.js'
import { open, SHORT, type Opened } from '../support/stores.js'
import { needs } from '../support/programs.js'
import { someOf } from '../support/size.js'

const openUnstorage = (t: Test, options: UnstorageOptions): Promise<Opened> => open(t, unstorage, options)

function newFolder (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'unstorage-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const pathOf = (base: string, key: string): string => join(base, 'frc', nameOf(storedKey(key)))

let numbers = 0

async function check (t: Test, options: () => UnstorageOptions): Promise<void> {
  const clock = testClock()
  await conforms(t, { ...clock, open: () => builtIns().open({ backend: 'unstorage', options: options() }, { now: clock.now }) },
    someOf(conformance))
}

t.test('unstorage conforms on the driver fs, with a folder for each backend', async (t) => {
  const folder = newFolder(t)
  await check(t, () => ({ driver: fsDriver({ base: join(folder, `${numbers++}`) }) }))
})

t.test('unstorage conforms on the driver redis, which stores text', needs('redis-server'), async (t) => {
  const { port } = await startServer(t)
  await check(t, () => ({ driver: redisDriver({ host: '127.0.0.1', port }), prefix: `p${numbers++}` }))
})

t.test('unstorage conforms on a part of a caller-owned storage', async (t) => {
  const storage = createStorage().mount('files', fsLiteDriver({ base: newFolder(t) }))
  await check(t, () => ({ storage: prefixStorage(storage, 'files'), prefix: `p${numbers++}` }))
})

t.test('unstorage: an option that is invalid, unknown, missing or one too many is refused, and no password is shown', async (t) => {
  const driver = memoryDriver()
  const storage = createStorage()
  const { setItem, setItemRaw, ...readOnly } = driver
  const wrong: ReadonlyArray<readonly [options: object, message: RegExp]> = [
    [{}, /exactly one of driver, storage, got none/],
    [{ driver, storage }, /exactly one of driver, storage, got driver and storage/],
    [{ driver: memoryDriver }, /unstorage\.driver' must be an unstorage driver that can write, got a function: call it/],
    [{ driver: storage }, /got a storage, which is the option storage/],
    [{ driver: { url: 'secret' } }, /unstorage\.driver' must be an unstorage driver/],
    [{ driver: readOnly }, /got a read-only driver/],
    [{ driver: fsDriver({ base: 'cache', readOnly: true }) }, /got a read-only driver/],
    [{ storage: createStorage({ driver: fsDriver({ base: 'cache', readOnly: true }) }) },
      /unstorage\.storage' must be .* got a read-only driver/],
    [{ storage: driver }, /unstorage\.storage' must be a storage made with createStorage/],
    [{ driver, prefix: '../up' }, /unstorage\.prefix' must be 1 to 64 of/],
    [{ driver, timeout: 'soon' }, /unstorage\.timeout'/],
    [{ driver, cleanupInterval: 0 }, /unstorage\.cleanupInterval'/],
    [{ driver, token: 'secret' }, /unstorage\.token' must be absent/]
  ]
  for (const [options, message] of wrong) {
    const failure = await failureOf(() => openUnstorage(t, options as UnstorageOptions))
    t.match(failure, { code: 'CACHE_ERR_OPTION', message })
    t.notMatch(failure?.message, /secret/)
  }
})

t.test('unstorage: without the package the error says what to install', async (t) => {
  const load = async (): Promise<never> => { throw Object.assign(new Error('not there'), { code: 'ERR_MODULE_NOT_FOUND' }) }
  const failure = await failureOf(() =>
    openStorage({ driver: memoryDriver(), storage: undefined, prefix: 'frc', timeoutMs: 5, cleanupIntervalMs: 5 }, load))
  t.match(failure, { code: 'CACHE_ERR_DEPENDENCY_MISSING', message: /npm install unstorage/, cause: { code: 'ERR_MODULE_NOT_FOUND' } })
})

t.test('unstorage: a driver handed over is disposed of once; a caller-owned storage is not, and keeps its other items', async (t) => {
  let disposals = 0
  const counting = { ...memoryDriver(), dispose: () => { disposals++ } }
  const { backend } = await openUnstorage(t, { driver: counting })
  await backend.close()
  await backend.close()
  t.equal(disposals, 1)
  const storage = createStorage({ driver: counting })
  await storage.setItem('key', 'theirs')
  await storage.setItem('frc:key', 'theirs, too')
  const callerOwned = (await openUnstorage(t, { storage })).backend
  await callerOwned.set('key', entry('ours'))
  t.equal(await callerOwned.size!(), 1)
  await callerOwned.clear!()
  await callerOwned.close()
  t.equal(disposals, 1)
  t.same(await storage.getKeys(), ['key', 'frc:key'])
})

t.test('unstorage: keys that unstorage would confuse with each other or with paths have files of their own', async (t) => {
  const base = newFolder(t)
  const { backend } = await openUnstorage(t, { driver: fsDriver({ base }) })
  const keys = ['a:b', 'a/b', 'a\\b', 'a?b', 'a', 'A', ':a:', '../../escape', 'node_modules/x', 'key$', 'k'.repeat(4096)]
  for (const key of keys) await backend.set(key, entry(key))
  for (const key of keys) t.equal(await textAt(backend, key), key)
  t.same(readdirSync(base), ['frc'])
  t.equal(readdirSync(join(base, 'frc')).filter((name) => /^[0-9a-f]{64}$/.test(name)).length, keys.length)
  t.same((await backend.keys!()).sort(), keys.sort())
})

t.test('unstorage: a file that can\'t be read is a failure and not an entry, and one that can\'t be removed is a failed delete',
  async (t) => {
    const base = newFolder(t)
    const { backend } = await openUnstorage(t, { driver: fsDriver({ base }) })
    await backend.set('key', entry('value'))
    // Below a plain file nothing can be opened, not even by root.
    rmSync(join(base, 'frc'), { recursive: true })
    writeFileSync(join(base, 'frc'), '')
    t.match(await failureOf(() => backend.get('key')), { code: 'ENOTDIR' })
    t.match(await failureOf(() => backend.set('key', entry('value'))), { message: /./ })
    rmSync(join(base, 'frc'))
    // A folder in its place exists and is not removed.
    mkdirSync(pathOf(base, 'key'), { recursive: true })
    t.match(await failureOf(() => backend.delete('key')), { code: 'CACHE_ERR_BACKEND_FAILED', message: /did not remove it/ })
  })

t.test(
  'unstorage: a delete succeeds if another writer sets the key at once, and rejects if the driver keeps the item; none runs after close',
  async (t) => {
    const held = new Map<string, Uint8Array>()
    let [removals, setAgain] = [0, 0]
    let looked: () => unknown = () => undefined
    const driver = {
      ...memoryDriver(),
      getItemRaw: (key: string) => held.get(key),
      setItemRaw: (key: string, value: Uint8Array) => { held.set(key, value) },
      hasItem: async (key: string) => { await looked(); return held.has(key) },
      removeItem: (key: string) => {
        removals++
        if (setAgain-- > 0) held.set(key, Buffer.from(`of another writer, ${removals}`))
      }
    }
    const { backend } = await openUnstorage(t, { driver })
    await backend.set('key', entry('value'))
    setAgain = 2
    await backend.delete('key')
    t.equal(removals, 2)
    t.match(await failureOf(() => backend.delete('key')), { code: 'CACHE_ERR_BACKEND_FAILED', message: /did not remove it/ })
    t.equal(removals, 4)
    let goOn = (): void => {}
    looked = () => new Promise<void>((resolve) => { goOn = resolve })
    const deleting = failureOf(() => backend.delete('key'))
    await new Promise(setImmediate)
    await backend.close()
    t.match(await deleting, { code: 'CACHE_ERR_CLOSED' })
    goOn()
    await new Promise(setImmediate)
    t.equal(removals, 5)
  })

t.test('unstorage: a file that was truncated, changed or moved to another key\'s place is a miss, and counted', async (t) => {
  const base = newFolder(t)
  const { backend } = await openUnstorage(t, { driver: fsDriver({ base }) })
  for (const change of [
    () => truncateSync(pathOf(base, 'key'), 40),
    () => writeFileSync(pathOf(base, 'key'), 'garbage'),
    () => writeFileSync(pathOf(base, 'key'), '')
  ]) {
    await backend.set('key', entry('a value'))
    change()
    t.equal(await backend.get('key'), undefined)
  }
  t.match(await backend.stats!(), { foreignValues: 3 })
})

t.test('unstorage: every form in which drivers return bytes is read, and nothing else is', async (t) => {
  const held = new Map<string, unknown>()
  const driver = {
    ...memoryDriver(), getItemRaw: (key: string) => held.get(key), setItemRaw: (key: string, value: unknown) => { held.set(key, value) }
  }
  const { backend } = await openUnstorage(t, { driver })
  await backend.set('key', entry('value'))
  const [[name, bytes]] = [...held] as [[string, Buffer]]
  for (const same of [bytes, new Uint8Array(bytes), new Uint8Array(bytes).buffer, `base64:${bytes.toString('base64')}`]) {
    held.set(name, same)
    t.equal(await textAt(backend, 'key'), 'value')
  }
  for (const other of [bytes.toString('latin1'), 5, {}, true]) {
    held.set(name, other)
    t.equal(await backend.get('key'), undefined)
  }
})

t.test('unstorage: if the driver can not list its keys, clear rejects instead of leaving entries behind', async (t) => {
  const { backend } = await openUnstorage(t, { driver: { ...memoryDriver(), getKeys: () => [] } })
  await backend.clear!()
  await backend.set('key', entry('value'))
  t.match(await failureOf(() => backend.clear!()), { code: 'CACHE_ERR_BACKEND_FAILED', message: /can not list its keys/ })
  await backend.delete('key')
  await backend.clear!()
})

t.test('unstorage: expired entries are removed when read and by the cleanup, unless the driver receives their lifetime',
  needs('redis-server'), async (t) => {
    const base = newFolder(t)
    const { backend, clock, tasks } = await openUnstorage(t, { driver: fsDriver({ base }) })
    for (const key of ['a', 'b', 'c']) await backend.set(key, entry(key, key === 'c' ? 60_000 : 1_000))
    await clock.pass(1_000)
    t.equal(await backend.get('a'), undefined)
    await backend.delete('a')
    t.notOk(existsSync(pathOf(base, 'a')))
    await tasks.get('unstorage cleanup')!()
    t.notOk(existsSync(pathOf(base, 'b')))
    t.equal(await textAt(backend, 'c'), 'c')
    const { port, admin } = await startServer(t)
    const told = await openUnstorage(t, { driver: redisDriver({ host: '127.0.0.1', port }) })
    t.equal(told.tasks.size, 0)
    await told.backend.set('key', entry('value', 1))
    const seconds = await admin.ttl(`frc:${nameOf(storedKey('key'))}`)
    t.ok(seconds > 0 && seconds <= 2, `${seconds}`)
  })

t.test('unstorage: a driver that hangs costs the timeout, and close ends the call', async (t) => {
  const { backend } = await openUnstorage(t, { driver: { ...memoryDriver(), getItemRaw: () => new Promise(() => {}) }, timeout: SHORT })
  t.match(await failureOf(() => backend.get('key')), { code: 'CACHE_ERR_BACKEND_FAILED', message: /within 150 ms/ })
  const pending = failureOf(() => backend.get('key'))
  await backend.close()
  t.match(await pending, { code: 'CACHE_ERR_CLOSED' })
  t.match(await failureOf(() => backend.set('key', entry('value'))), { code: 'CACHE_ERR_CLOSED' })
})
