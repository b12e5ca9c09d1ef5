// The file backend on a disk that is full, read-only, inaccessible or failing: reads continue, sets are refused, and all recovers.
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { runChild } from '../support/child.js'
import { testClock } from '../support/clock.js'
import { entry, failureOf, textAt } from '../support/entries.js'
import { asideIn, filesIn, openFiles, pathIn } from '../support/files.js'
import { injecting, needsStrace } from '../support/strace.js'
import { asNobody, needsSetpriv, NOBODY } from '../support/users.js'
import { newFolder } from '../support/folder.js'

t.setTimeout(120_000)

const CHILD = 'support/children/file.js'

function runs (command: string, ...args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Why a test can't run here; false if it can. The reason is printed, so that nobody mistakes a skipped test for a passed one. */
const needs = {
  mount: process.getuid?.() === 0 && runs('unshare', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt')
    ? false
    : 'SKIPPED: needs root and the right to mount',
  shell: process.platform === 'win32' ? 'SKIPPED: needs a shell with ulimit' : false as const
}

/** A folder that may be a mount point. tap's own folders are removed before the teardowns run. */
function folderFor (t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'file-disk-'))
  t.teardown(() => { rmSync(path, { recursive: true }) })
  return path
}

/** Mounts a small disk for one test. */
function disk (t: Test, options: string): string {
  const path = folderFor(t)
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'none', path])
  t.teardown(() => { execFileSync('umount', ['-l', path]) })
  return path
}

function fillUntil (code: string, fill: (at: number) => void): void {
  for (let at = 0; at < 10_000; at++) {
    try {
      fill(at)
    } catch (error) {
      if ((error as { code?: string }).code === code) return
      throw error
    }
  }
  throw new Error('the disk does not become full')
}

t.test('file: on a full disk a set is refused, reads continue, no file is left behind, and writes resume with room', { skip: needs.mount },
  async (t) => {
    const path = disk(t, 'size=256k')
    const dir = join(path, 'cache')
    const { backend, cleanup } = await openFiles(t, { dir })
    await backend.set('key', entry('old'))
    await backend.set('other', entry('other'))
    fillUntil('ENOSPC', (at) => writeFileSync(join(path, `filler-${at}`), Buffer.alloc(4_096)))
    for (const bytes of [2_000, 30_000, 100_000]) {
      t.match(await failureOf(() => backend.set('key', { value: Buffer.alloc(bytes), expiresAt: Infinity })), { code: 'ENOSPC' })
      t.match(await failureOf(() => backend.set('new', { value: Buffer.alloc(bytes), expiresAt: Infinity })), { code: 'ENOSPC' })
    }
    t.equal(await textAt(backend, 'key'), 'old')
    t.equal(await textAt(backend, 'other'), 'other')
    t.equal(await textAt(backend, 'new'), undefined)
    t.same(asideIn(dir), [])
    await cleanup()
    const { backend: second } = await openFiles(t, { dir })
    t.equal(await textAt(second, 'other'), 'other', 'a process that starts now reads too')
    await backend.delete('other')
    rmSync(join(path, 'filler-0'))
    rmSync(join(path, 'filler-1'))
    await backend.set('key', entry('new'))
    t.equal(await textAt(backend, 'key'), 'new')
    t.equal((await backend.stats()).damagedFiles, 0)
  })

t.test('file: on a disk without inodes a set is refused, reads continue, and writes resume', { skip: needs.mount }, async (t) => {
  const path = disk(t, 'size=4m,nr_inodes=64')
  const dir = join(path, 'cache')
  const { backend } = await openFiles(t, { dir })
  await backend.set('key', entry('old'))
  fillUntil('ENOSPC', (at) => writeFileSync(join(path, `filler-${at}`), ''))
  t.match(await failureOf(() => backend.set('key', entry('new'))), { code: 'ENOSPC' })
  t.match(await failureOf(() => backend.set('another', entry('new'))), { code: 'ENOSPC' })
  t.equal(await textAt(backend, 'key'), 'old')
  t.same(asideIn(dir), [])
  for (let at = 0; at < 3; at++) rmSync(join(path, `filler-${at}`))
  await backend.set('key', entry('new'))
  await backend.set('another', entry('new'))
  t.equal(await textAt(backend, 'key'), 'new')
})

t.test('file: on a disk that the cache itself filled, new entries are stored and older ones are evicted, and that is logged once',
  { skip: needs.mount }, async (t) => {
    const dir = join(disk(t, 'size=8m'), 'cache')
    const warnings: string[] = []
    const { backend } = await openFiles(t, { dir }, testClock(), (_details, message) => { warnings.push(message) })
    let refused = 0
    for (let wave = 0; wave < 200; wave++) {
      const sets = Array.from({ length: 10 }, (_, at) =>
        backend.set(`${wave}-${at}`, { value: Buffer.alloc(8_000, wave), expiresAt: Infinity }))
      const outcomes = await Promise.allSettled(sets)
      if (wave >= 150) refused += outcomes.filter(({ status }) => status === 'rejected').length
    }
    t.equal(refused, 0)
    t.equal((await backend.get('199-0'))?.value[0], 199)
    t.ok((await backend.stats()).entries! > 200, 'a good part of the disk is used')
    t.same(warnings.map((message) => message.split(';', 1)[0]), ['cache: the disk is full before file.maxBytes is reached'])
    await backend.delete('199-0')
    t.equal(await backend.get('199-0'), undefined)
    await backend.clear()
    t.equal((await backend.stats()).entries, 0)
  })

t.test('file: on a disk that became read-only reads continue, changes are refused, and both recover', { skip: needs.mount }, async (t) => {
  const path = disk(t, 'size=1m')
  const dir = join(path, 'cache')
  const { backend, cleanup } = await openFiles(t, { dir })
  await backend.set('key', entry('old'))
  execFileSync('mount', ['-o', 'remount,ro', path])
  t.match(await failureOf(() => backend.set('key', entry('new'))), { code: 'EROFS' })
  t.match(await failureOf(() => backend.delete('key')), { code: 'EROFS' })
  t.match(await failureOf(() => backend.clear()), { code: 'EROFS' })
  t.equal(await textAt(backend, 'key'), 'old')
  t.same(await backend.keys(), ['key'])
  await cleanup()
  t.match(await failureOf(() => openFiles(t, { dir })), { code: 'CACHE_ERR_OPTION', message: 'EROFS' })
  execFileSync('mount', ['-o', 'remount,rw', path])
  await backend.set('key', entry('new'))
  t.equal(await textAt(backend, 'key'), 'new')
})

/** A folder of another user's with an entry, and a child process of that user. */
async function changedByNobody (t: Test, change: (path: string, dir: string) => void): Promise<{ stdout: string, stderr: string }> {
  const dir = join(mkdtempSync(join(tmpdir(), 'file-nobody-')), 'cache')
  t.teardown(() => rmSync(dirname(dir), { recursive: true, force: true }))
  const { backend } = await openFiles(t, { dir })
  await backend.set('kept', entry('old'))
  await backend.close()
  const path = pathIn(dir, 'kept')
  for (const each of [dirname(dir), dir, dirname(dirname(path)), dirname(path), path]) chownSync(each, NOBODY, NOBODY)
  change(path, dir)
  return await runChild(CHILD, { args: [dir, 'try all'], under: asNobody })
}

t.test('file: an entry that the process may not read is a miss, and is replaced', { skip: needsSetpriv }, async (t) => {
  const { stdout, stderr } = await changedByNobody(t, (path) => chmodSync(path, 0))
  t.same(JSON.parse(stdout || JSON.stringify(stderr)), { kept: 'nothing', set: 'nothing', then: 'newer', remove: 'nothing' })
})

t.test('file: a process that may not write to a shard still reads it, and its changes are refused', { skip: needsSetpriv }, async (t) => {
  const { stdout, stderr } = await changedByNobody(t, (path) => chmodSync(dirname(path), 0o500))
  t.same(JSON.parse(stdout || JSON.stringify(stderr)), { kept: 'old', set: 'EACCES', then: 'old', remove: 'EACCES' })
})

t.test("file: a folder that is not writable, or is another user's, is refused when opened", { skip: needsSetpriv }, async (t) => {
  const changes = [(dir: string) => chmodSync(dir, 0o500), (dir: string) => chownSync(dir, 0, 0)]
  await Promise.all(changes.map(async (change) => {
    const { stdout, stderr } = await changedByNobody(t, (_path, dir) => {
      rmSync(join(dir, 'v1'), { recursive: true })
      change(dir)
    })
    t.equal(stdout, '')
    t.match(stderr, /CACHE_ERR_OPTION/)
  }))
})

t.test('file: without free file handles a set and a get are refused, and both work again later', { skip: needs.shell }, async (t) => {
  const dir = join(newFolder(t), 'cache')
  const { stdout, stderr } = await runChild(CHILD, {
    args: [dir, 'run out of files'], under: ['sh', '-c', 'ulimit -n 100; exec "$@"', 'sh']
  })
  t.same(JSON.parse(stdout || JSON.stringify(stderr)), {
    first: 'nothing', set: 'EMFILE', get: 'EMFILE', keys: 'EMFILE', then: 'one', again: 'nothing', now: 'three'
  })
  t.same(asideIn(dir), [])
})

const INJECTED: ReadonlyArray<readonly [what: string, inject: string, code: string, name: string, then: string]> = [
  ['a rename', 'rename,renameat,renameat2:error=ENOSPC:when=2', 'ENOSPC', '', 'nothing'],
  ['the fsync of the file', 'fsync:error=EIO:when=3', 'EIO', 'fsync', 'one'],
  ['the fsync of its folder', 'fsync:error=EIO:when=4', 'EIO', 'fsync', 'nothing']
]

t.test('file: a set during which a disk call fails is refused and never read, leaves no file behind, and the next set is stored',
  { skip: needsStrace }, async (t) => {
    const folder = newFolder(t)
    await Promise.all(INJECTED.map(async ([what, inject, code, name, then], at) => {
      const dir = join(folder, `${at}`)
      const { stdout, stderr } = await runChild(CHILD, {
        args: [dir, 'set thrice', name], under: injecting(inject), env: { UV_THREADPOOL_SIZE: '1' }
      })
      t.same(JSON.parse(stdout || JSON.stringify(stderr)), { sets: ['nothing', code], then, last: 'nothing', now: 'three' }, what)
      t.same(asideIn(dir), [], what)
    }))
  })

t.test('file: if one shard can\'t be swept the others still are, and the cleanup reports why', { skip: needs.mount },
  async (t) => {
    const clock = testClock()
    const dir = folderFor(t)
    const { backend, cleanup } = await openFiles(t, { dir }, clock)
    for (let at = 0; at < 20; at++) await backend.set(`key-${at}`, entry('value', clock.now() + 1_000))
    await backend.set('new', entry('value'))
    const shard = dirname(pathIn(dir, 'key-7'))
    execFileSync('mount', ['--bind', shard, shard])
    t.teardown(() => { execFileSync('umount', ['-l', shard]) })
    execFileSync('mount', ['-o', 'remount,bind,ro', shard])
    await clock.pass(1_000)
    t.match(await failureOf(cleanup), { code: 'EROFS' })
    t.same(filesIn(dir).sort(), [pathIn(dir, 'key-7'), pathIn(dir, 'new')].sort())
  })
