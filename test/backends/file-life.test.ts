// The file backend over its lifetime: the order of changes, clear, a folder that is removed, close.
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { runChild } from '../support/child.js'
import { entry, everyCall, failureOf, textAt } from '../support/entries.js'
import { asideIn, openFiles, pathIn } from '../support/files.js'
import { newFolder } from '../support/folder.js'

const CHILD = 'support/children/file.js'

t.test('file: changes of one key take effect in the order of the calls, awaited or not', async (t) => {
  const dir = join(newFolder(t), 'cache')
  const { backend } = await openFiles(t, { dir })
  for (let round = 0; round < 50; round++) {
    const done: unknown[] = []
    for (let at = 0; at < 10; at++) {
      done.push(backend.set('key', entry(`${round}-${at}`)), backend.delete('key'))
      if (round % 3 === at % 3) await backend.set('other', entry('value'))
    }
    t.equal(await textAt(backend, 'key'), undefined, 'the last call decides what is read')
    if (round % 2 === 0) done.push(backend.set('key', entry(`${round}`)))
    await Promise.all(done)
    t.equal(existsSync(pathIn(dir, 'key')), round % 2 === 0)
    t.equal(await textAt(backend, 'key'), round % 2 === 0 ? String(round) : undefined)
  }
  t.same(asideIn(dir), [])
})

t.test('file: a clear deletes entries set before it, by keys and not by file names, and leaves entries set after it', async (t) => {
  const dir = join(newFolder(t), 'cache')
  const { backend } = await openFiles(t, { dir })
  await Promise.all(Array.from({ length: 500 }, (_, at) => backend.set(`a${at}`, entry('value'))))
  const done = [backend.set('a-new', entry('before')), backend.set('b-new', entry('before'))]
  const cleared = backend.clear('a')
  done.push(backend.set('a0', entry('after')), backend.set('a-new', entry('after')))
  await Promise.all([cleared, ...done])
  t.same((await backend.keys()).sort(), ['a-new', 'a0', 'b-new'])
  t.equal(await textAt(backend, 'a-new'), 'after')
  await backend.set('c', entry('before'))
  await backend.set('d', entry('before'))
  const all = backend.clear()
  const later = backend.set('c', entry('after'))
  await Promise.all([all, later])
  t.same(await backend.keys(), ['c'])
})

t.test('file: a clear and a delete also remove what another process has read', async (t) => {
  const dir = join(newFolder(t), 'cache')
  const one = (await openFiles(t, { dir })).backend
  const other = (await openFiles(t, { dir })).backend
  for (const key of ['a', 'b', 'c']) await one.set(key, entry(key))
  await other.delete('a')
  t.equal(await textAt(one, 'a'), undefined)
  await other.clear('b')
  t.equal(await textAt(one, 'b'), undefined)
  t.equal(await textAt(other, 'c'), 'c')
  await other.clear()
  t.equal(await textAt(one, 'c'), undefined)
})

t.test('file: the bytes that wait for the disk are bounded', async (t) => {
  const { backend } = await openFiles(t, { dir: join(newFolder(t), 'cache') })
  const value = Buffer.alloc(10_000_000)
  const sets = Array.from({ length: 10 }, (_, at) => failureOf(() => backend.set(String(at), { value, expiresAt: Infinity })))
  const failures = (await Promise.all(sets)).filter((failure) => failure !== undefined)
  t.equal(failures.length, 4)
  t.match(failures[0], { code: 'CACHE_ERR_BACKEND_FAILED', message: 'waiting' })
  t.equal(await failureOf(() => backend.set('again', entry('value'))), undefined)
})

t.test('file: close may be called twice, lets pending calls settle, and makes every later call fail with CACHE_ERR_CLOSED', async (t) => {
  const dir = join(newFolder(t), 'cache')
  const { backend, cleanup } = await openFiles(t, { dir })
  await Promise.all(Array.from({ length: 500 }, (_, at) => backend.set(`key-${at}`, entry('value'))))
  const big = backend.set('big', { value: Buffer.alloc(100_000), expiresAt: Infinity })
  await big
  const running = [failureOf(cleanup), failureOf(() => backend.clear('key')), failureOf(() => backend.keys())]
  const read = backend.get('big')
  const set = backend.set('last', entry('value'))
  await Promise.all([backend.close(), backend.close()])
  await set
  t.equal((await read)?.value.byteLength, 100_000)
  const [cleaned, ...others] = await Promise.all(running)
  t.equal(cleaned, undefined, 'a cleanup ends without an error')
  for (const failure of others) if (failure !== undefined) t.match(failure, { code: 'CACHE_ERR_CLOSED' })
  for (const [name, call] of Object.entries(everyCall(backend))) {
    t.match(await failureOf(call), { code: 'CACHE_ERR_CLOSED', message: name === 'getMany' ? 'file.get' : `file.${name}` }, name)
  }
  t.equal(await textAt((await openFiles(t, { dir })).backend, 'last'), 'value')
})

t.test('file: a process that closes its cache ends by itself, and leaves no file open', async (t) => {
  const { exitCode, stdout } = await runChild(CHILD, { args: [join(newFolder(t), 'cache'), 'set and close'], timeoutMs: 20_000 })
  t.equal(exitCode, 0)
  t.match(JSON.parse(stdout), { resources: [], left: 0 })
})

t.test('file: a process that never closes its cache ends by itself, and its sets are stored', async (t) => {
  const dir = join(newFolder(t), 'cache')
  const { exitCode } = await runChild(CHILD, { args: [dir, 'set and leave'], timeoutMs: 20_000 })
  t.equal(exitCode, 0)
  const { backend } = await openFiles(t, { dir })
  t.equal(backend.has('key'), true)
})

t.test('file: a folder that is removed while in use is a miss, and is created again by the next set', async (t) => {
  const parent = newFolder(t)
  const dir = join(parent, 'a', 'cache')
  const { backend, cleanup } = await openFiles(t, { dir })
  for (const gone of [join(parent, 'a'), dir, join(dir, 'v1')]) {
    await backend.set('key', entry('value'))
    rmSync(gone, { recursive: true })
    t.equal(await textAt(backend, 'key'), undefined)
    t.equal(await backend.size(), 0)
    t.same(await backend.keys(), [])
    await backend.delete('key')
    await backend.clear('k')
    await cleanup()
    await Promise.all(Array.from({ length: 20 }, (_, at) => backend.set(`key-${at}`, entry('value'))))
    t.equal(await backend.size(), 20)
    await backend.clear()
  }
  t.ok(existsSync(join(dir, 'CACHEDIR.TAG')))
})
