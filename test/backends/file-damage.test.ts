// The file backend's files when they are damaged, foreign or not regular files: a miss, never wrong bytes, never an error.
import { execFileSync } from 'node:child_process'
import {
  chmodSync, existsSync, linkSync, lstatSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync
} from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join, relative } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { testClock } from '../support/clock.js'
import { entry, failureOf, textAt } from '../support/entries.js'
import { asideIn, filesIn, openFiles, pathIn } from '../support/files.js'
import { newFolder } from '../support/folder.js'

const VALUE = 'the value, 26 bytes of text'
const KEY = 'GET /products/1'
const HEAD_BYTES = 28

/** Writes bytes to the entry's path, as a file that has not expired. */
function plant (path: string, bytes: Uint8Array): void {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
  utimesSync(path, 1, 4e9)
}

async function stored (
  t: Test
): Promise<{ dir: string, path: string, bytes: Buffer, backend: Awaited<ReturnType<typeof openFiles>>['backend'] }> {
  const dir = join(newFolder(t), 'cache')
  const { backend } = await openFiles(t, { dir })
  await backend.set(KEY, entry(VALUE))
  const path = pathIn(dir, KEY)
  return { dir, path, bytes: readFileSync(path), backend }
}

t.test('file: a stored entry with any one bit flipped is a miss, and its file is removed', async (t) => {
  const { path, bytes, backend } = await stored(t)
  let flips = 0
  const wrong: string[] = []
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[at]! ^= 1 << bit
      plant(path, flipped)
      flips++
      if (await backend.get(KEY) !== undefined || existsSync(path)) wrong.push(`byte ${at} bit ${bit}`)
    }
  }
  t.same(wrong, [])
  t.equal((await backend.stats()).damagedFiles, flips)
  plant(path, bytes)
  t.equal(await textAt(backend, KEY), VALUE, 'the original bytes are a hit')
})

t.test('file: a file that is truncated or has trailing bytes is a miss and is removed, and the next set is stored', async (t) => {
  const { path, bytes, backend } = await stored(t)
  const cuts = [0, 1, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 1, HEAD_BYTES + KEY.length, bytes.length - 1]
  for (const changed of [
    ...cuts.map((length) => bytes.subarray(0, length)), Buffer.concat([bytes, Buffer.of(0)]), Buffer.concat([bytes, bytes])
  ]) {
    plant(path, changed)
    t.equal(backend.has(KEY), false, `has with ${changed.length} bytes`)
    t.same(await backend.keys(), [])
    t.equal(await backend.get(KEY), undefined, `get with ${changed.length} bytes`)
    t.notOk(existsSync(path))
    await backend.set(KEY, entry(VALUE))
    t.equal(await textAt(backend, KEY), VALUE)
  }
})

t.test('file: a large file that is truncated is a miss too', async (t) => {
  const { path, backend } = await stored(t)
  await backend.set(KEY, { value: Buffer.alloc(200_000, 'x'), expiresAt: Infinity })
  plant(path, readFileSync(path).subarray(0, 199_000))
  t.equal(await backend.get(KEY), undefined)
  t.notOk(existsSync(path))
})

t.test('file: a file that is not one of our entries is a miss', async (t) => {
  const { dir, path, bytes, backend } = await stored(t)
  await backend.set('another key', entry('of somebody else'))
  const future = Buffer.from(bytes)
  future.write('frc2')
  const foreign: Record<string, Uint8Array> = {
    'a list': Buffer.from('[]'),
    null: Buffer.from('null'),
    'an object': Buffer.from('{}'.padEnd(100)),
    'no bytes': Buffer.alloc(0),
    'all ones': Buffer.alloc(500, 0xFF),
    'all zeros': Buffer.alloc(500),
    'the record of another key': readFileSync(pathIn(dir, 'another key')),
    'a future version': future
  }
  for (const [name, content] of Object.entries(foreign)) {
    plant(path, content)
    t.equal(backend.has(KEY), false, name)
    t.same(await backend.keys(), ['another key'], name)
    t.equal(await backend.get(KEY), undefined, name)
    t.notOk(existsSync(path), name)
  }
})

t.test('file: an entry written by 0.1.0 is read', async (t) => {
  const dir = join(newFolder(t), 'cache')
  const fixture = 'ZnJjMei5YMNaZ76O////////P0MFAAAAAwAAAGtleXZhbHVl'
  plant(pathIn(dir, 'key'), Buffer.from(fixture, 'base64'))
  chmodSync(dir, 0o700)
  chmodSync(join(dir, 'v1'), 0o700)
  const { backend } = await openFiles(t, { dir })
  t.equal(await textAt(backend, 'key'), 'value')
  await backend.set('key', entry('value'))
  t.equal(readFileSync(pathIn(dir, 'key')).toString('base64'), fixture, 'a set writes the same bytes')
})

t.test('file: a folder, a FIFO, a socket, a device or a link in the place of an entry is a miss at once, and the next set replaces it',
  async (t) => {
    const { dir, path, backend } = await stored(t)
    const victim = join(newFolder(t), 'victim')
    writeFileSync(victim, 'untouched')
    const server = createServer()
    t.teardown(() => { server.close() })
    const places: Record<string, () => unknown> = {
      'a folder': () => mkdirSync(join(path, 'full'), { recursive: true }),
      'a FIFO': () => execFileSync('mkfifo', [path]),
      // The path of a socket is limited to about 100 characters.
      'a socket': () => new Promise<void>((resolve) =>
        server.listen(relative('.', path).length < 100 ? relative('.', path) : join('/tmp', `s${process.pid}`), () => resolve())),
      'a link': () => symlinkSync(victim, path),
      'a link to nowhere': () => symlinkSync(join(dir, 'nowhere'), path),
      'a link to itself': () => symlinkSync(path, path),
      'a hard link': () => linkSync(victim, path)
    }
    if (process.getuid?.() === 0) places['a device'] = () => execFileSync('mknod', [path, 'c', '1', '5'])
    for (const [name, put] of Object.entries(places)) {
      rmSync(path, { recursive: true, force: true })
      await put()
      if (name === 'a socket' && !existsSync(path)) renameSync(join('/tmp', `s${process.pid}`), path)
      t.equal(await backend.get(KEY), undefined, `get: ${name}`)
      t.equal(backend.has(KEY), false, `has: ${name}`)
      await backend.set(KEY, entry(VALUE))
      t.equal(await textAt(backend, KEY), VALUE, `set: ${name}`)
      t.ok(lstatSync(path).isFile())
    }
    t.equal(readFileSync(victim, 'utf8'), 'untouched')
  })

t.test('file: the cleanup, a delete and a clear remove what is not an entry, and follow no link', async (t) => {
  const dir = join(t.testdir({ victims: { file: 'untouched' } }), 'cache')
  const victims = join(t.testdirName, 'victims')
  const { backend, cleanup } = await openFiles(t, { dir })
  const remove: Record<string, () => unknown> = { cleanup, delete: () => backend.delete(KEY), clear: () => backend.clear() }
  for (const [name, call] of Object.entries(remove)) {
    for (const put of [
      (path: string) => symlinkSync(victims, path), (path: string) => { mkdirSync(path); symlinkSync(victims, join(path, 'link')) }
    ]) {
      await backend.set(KEY, entry(VALUE))
      rmSync(pathIn(dir, KEY))
      put(pathIn(dir, KEY))
      await call()
      t.same(filesIn(dir), [], name)
    }
  }
  t.equal(readFileSync(join(victims, 'file'), 'utf8'), 'untouched')
})

t.test('file: a path that is a link or not a folder is refused, also when it becomes one later', async (t) => {
  const parent = t.testdir({ foreign: { file: 'untouched' }, file: '', fine: {} })
  symlinkSync(join(parent, 'foreign'), join(parent, 'link'))
  chmodSync(join(parent, 'fine'), 0o755)
  const refused = { code: 'CACHE_ERR_OPTION', message: "'file.dir' must be a folder of this user's own" }
  for (const name of ['link', 'link/', 'file', 'file/below', 'nul\0byte']) {
    t.match(await failureOf(() => openFiles(t, { dir: join(parent, name) })), refused, JSON.stringify(name))
  }
  t.ok(existsSync(join(parent, 'foreign', 'file')))
  const { backend } = await openFiles(t, { dir: join(parent, 'fine') })
  await backend.set(KEY, entry(VALUE))
  rmSync(join(parent, 'fine'), { recursive: true })
  symlinkSync(join(parent, 'foreign'), join(parent, 'fine'))
  t.match(await failureOf(() => backend.set(KEY, entry(VALUE))), refused)
  t.equal(await backend.get(KEY), undefined)
  rmSync(join(parent, 'fine'))
  await backend.set(KEY, entry(VALUE))
  t.equal(await textAt(backend, KEY), VALUE, 'the folder is used again once the link is gone')
})

t.test('file: a shard that is a link is replaced', async (t) => {
  const dir = join(t.testdir({ victims: {} }), 'cache')
  await (await openFiles(t, { dir })).backend.close()
  symlinkSync(join(t.testdirName, 'victims'), dirname(pathIn(dir, KEY)))
  const { backend } = await openFiles(t, { dir })
  await backend.set(KEY, entry(VALUE))
  t.equal(await textAt(backend, KEY), VALUE)
  t.ok(lstatSync(dirname(pathIn(dir, KEY))).isDirectory())
})

for (const mask of [0, 0o077, 0o777]) {
  t.test(`file: folders and files are accessible to their owner only under umask ${mask.toString(8)}`, async (t) => {
    const dir = join(newFolder(t), 'cache')
    const before = process.umask(mask)
    t.teardown(() => { process.umask(before) })
    const { backend } = await openFiles(t, { dir })
    await backend.set(KEY, entry(VALUE))
    await backend.set(KEY, { value: Buffer.alloc(100_000), expiresAt: Infinity })
    for (const path of [dir, join(dir, 'v1'), dirname(pathIn(dir, KEY))]) t.equal(statSync(path).mode & 0o777, 0o700, path)
    t.equal(statSync(pathIn(dir, KEY)).mode & 0o777, 0o600)
  })
}

t.test('file: the cleanup leaves temporary files in use, and removes those from long ago or from the future', async (t) => {
  const dir = join(newFolder(t), 'cache')
  const clock = testClock()
  const { backend, cleanup } = await openFiles(t, { dir }, clock)
  await backend.set(KEY, entry(VALUE))
  const shard = dirname(pathIn(dir, KEY))
  const beside = (at: number) => join(shard, `.${at.toString(36)}-0123456789abcdef`)
  const begun = [clock.now(), clock.now() - 30_000, clock.now() - 61_000, clock.now() + 3_600_000].map(beside)
  for (const path of begun) writeFileSync(path, 'half of')
  writeFileSync(join(shard, 'foreign'), 'not ours')
  await cleanup()
  t.same(asideIn(dir).sort(), begun.slice(0, 2).sort())
  t.ok(existsSync(join(shard, 'foreign')))
  t.equal(await backend.size(), 1, 'only entries are counted')
  await clock.pass(60_001)
  await cleanup()
  t.same(asideIn(dir), [])
  t.equal(await textAt(backend, KEY), VALUE)
})
