// The file backend while more is written than its disk can take: deletes go first, whatever happens to the sets.
import { join } from 'node:path'
import t from 'tap'
import { FileWriteQueue, type FileWrite } from '../../backends/file/write-queue.js'
import { Barrier, turns } from '../support/barrier.js'
import { runChild } from '../support/child.js'
import { failureOf } from '../support/entries.js'
import { sized } from '../support/size.js'
import { injecting, needsStrace } from '../support/strace.js'
import { newFolder } from '../support/folder.js'

t.setTimeout(120_000)

const AT_ONCE = 8

const set = (name: string, bytes = 1): FileWrite => ({
  key: name, stored: Buffer.from(name), entry: { value: Buffer.alloc(bytes), expiresAt: Infinity }
})
const remove = (name: string): FileWrite => ({ ...set(name), entry: undefined })

/** A write queue that stops at a barrier. `begun` lists the writes that began, in order. Sets whose name is in `failing` fail. */
function writesSetUp () {
  const barrier = new Barrier()
  const failing = new Set<string>()
  const begun: string[] = []
  const writes = new FileWriteQueue(async ({ key, entry }) => {
    begun.push(`${entry === undefined ? 'delete' : 'set'} ${key}`)
    await barrier.pass()
    if (entry !== undefined && failing.has(key)) throw new Error('no room')
  })
  return { writes, barrier, failing, begun }
}

t.test('file: deletes go before waiting sets, and don\'t wait for sets under way', async (t) => {
  const { writes, barrier, begun } = writesSetUp()
  const sets = Array.from({ length: 20 }, (_, at) => writes.put(set(`${at}`)))
  const deletes = ['a', 'b'].map((name) => writes.put(remove(name)))
  t.same(begun, [...Array.from({ length: AT_ONCE }, (_, at) => `set ${at}`), 'delete a', 'delete b'])
  barrier.open()
  await Promise.all([...sets, ...deletes])
  t.equal(begun.length, 22)
})

t.test('file: a delete behind a set of its own key is the next write of that key, before other sets', async (t) => {
  const { writes, barrier, begun } = writesSetUp()
  const sets = Array.from({ length: 20 }, (_, at) => writes.put(set(`${at}`)))
  const gone = writes.put(remove('0'))
  barrier.letGo(1)
  await turns()
  t.same(begun.slice(AT_ONCE), ['delete 0', 'set 8'])
  t.equal(writes.find('0')?.entry, undefined)
  barrier.open()
  await Promise.all([gone, ...sets])
})

t.test('file: a set that fails does not cancel the delete before it', async (t) => {
  const { writes, barrier, failing, begun } = writesSetUp()
  failing.add('key')
  const first = failureOf(() => writes.put(set('key')))
  const replaced = failureOf(() => writes.put(set('key')))
  const gone = failureOf(() => writes.put(remove('key')))
  const last = failureOf(() => writes.put(set('key')))
  t.ok(writes.find('key')?.entry, 'the last change is what is read')
  barrier.open()
  t.match(await first, { message: 'no room' })
  t.equal(await replaced, undefined, 'the delete takes the place of the set')
  t.equal(await gone, undefined)
  t.match(await last, { message: 'no room' })
  t.same(begun, ['set key', 'delete key', 'set key'])
})

t.test('file: a delete is accepted even if so many bytes wait that sets are refused', async (t) => {
  const { writes, barrier } = writesSetUp()
  const sets = Array.from({ length: 7 }, (_, at) => failureOf(() => writes.put(set(`${at}`, 10_000_000))))
  const gone = failureOf(() => writes.put(remove('key')))
  barrier.open()
  t.match((await Promise.all(sets)).at(-1), { code: 'CACHE_ERR_BACKEND_FAILED', message: 'too many writes are waiting' })
  t.equal(await gone, undefined)
})

t.test('file: a clear is told of the sets that come after it, not of those that are refused', async (t) => {
  const { writes, barrier } = writesSetUp()
  const later: string[] = []
  const unlisten = writes.onPut((name) => later.push(name))
  const sets = Array.from({ length: 7 }, (_, at) => failureOf(() => writes.put(set(`${at}`, 10_000_000))))
  const gone = writes.put(remove('key'))
  unlisten()
  sets.push(failureOf(() => writes.put(set('7'))))
  t.same(later, ['0', '1', '2', '3', '4', '5'])
  barrier.open()
  await Promise.all([...sets, gone])
})

t.test(
  'file: while ten clients fill the cache on a disk whose renames take 50 ms, no invalidation, delete or clear is refused',
  { skip: needsStrace }, async (t) => {
    const renames = 'rename,renameat,renameat2'
    const args = [join(newFolder(t), 'cache'), '1500', String(sized(4))]
    const { stdout, stderr } = await runChild('support/children/write-pressure.js', {
      args, under: injecting(`${renames}:delay_exit=50000`)
    })
    const { failures, stores } = JSON.parse(stdout || JSON.stringify({ failures: stderr })) as { failures: unknown, stores: number }
    t.same(failures, [])
    t.ok(stores > 0, `${stores} stores`)
  })
