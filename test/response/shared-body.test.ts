// A shared body: read once, recorded within limits, and given to each reader at its own pace.
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import t from 'tap'
import { RecordingBudget } from '../../response/fill/recording-budget.js'
import { SharedBody } from '../../response/fill/shared-body.js'
import { turns, until } from '../support/barrier.js'
import { seeded } from '../support/seeded.js'

const BYTES = 1_000
const KIB = 1_024

type Kind = 'node' | 'web'
const KINDS: readonly Kind[] = ['node', 'web']

/** A source that produces what it is told to. */
class Source {
  readonly stream: Readable | ReadableStream
  isDropped = false
  /** How many pieces were asked for that it has not produced. */
  wanted = 0
  push: (piece: unknown) => void
  end: () => void
  fail: (err: Error) => void

  constructor (kind: Kind) {
    if (kind === 'node') {
      const stream = new Readable({
        objectMode: true,
        highWaterMark: 1,
        read: () => { this.wanted++ },
        destroy: (err, done) => { this.isDropped = !stream.readableEnded; done(err) }
      })
      this.push = (piece) => { this.wanted = 0; stream.push(piece) }
      this.end = () => { stream.push(null) }
      this.fail = (err) => { stream.destroy(err) }
      this.stream = stream
      return
    }
    let to: ReadableStreamDefaultController
    this.stream = new ReadableStream({
      start (controller) { to = controller }, pull: () => { this.wanted++ }, cancel: () => { this.isDropped = true }
    }, { highWaterMark: 0 })
    this.push = (piece) => { this.wanted = 0; to.enqueue(piece) }
    this.end = () => { to.close() }
    this.fail = (err) => { to.error(err) }
  }
}

function setUp (kind: Kind, { maxBytes = BYTES, budget = new RecordingBudget(BYTES * 100), stalledMs = 5_000 } = {}) {
  const source = new Source(kind)
  const ends: unknown[] = []
  let stalled = 0
  const body = new SharedBody(kind, source.stream, {
    maxBytes,
    budget,
    stalledMs,
    end: {
      progressed () {},
      whole: (bytes) => { ends.push(bytes.toString()) },
      failed: (why) => { ends.push(why) },
      stalled: () => { stalled++ }
    }
  })
  return { body, ends, source, stalled: () => stalled }
}

const read = async (body: SharedBody, kind: Kind = 'node'): Promise<string> => await text(body.openAs(kind).stream as Readable)

for (const kind of KINDS) {
  t.test(`${kind}: every reader receives all of it, whenever it comes, and the body is recorded`, async (t) => {
    const { body, ends, source } = setUp(kind)
    const first = read(body, kind)
    source.push(Buffer.from('one '))
    await turns()
    const second = read(body)
    source.push(Buffer.from('two '))
    await turns()
    source.end()
    await turns()
    const third = read(body)
    t.same(await Promise.all([first, second, third]), ['one two ', 'one two ', 'one two '])
    t.same(ends, ['one two '])
    t.same(await body.whenRecorded(), Buffer.from('one two '))
  })

  t.test(`${kind}: it is recorded at the pace of its source, although a reader reads nothing, or has left`, async (t) => {
    const { body, ends, source } = setUp(kind)
    const idle = body.openAs(kind)
    const gone = body.openAs('node')
    for (const piece of ['a', 'b', 'c']) {
      source.push(Buffer.from(piece))
      await turns()
      if (piece === 'a') gone.leave()
    }
    source.end()
    await turns()
    t.same(ends, ['abc'])
    t.equal(await text(idle.stream as Readable), 'abc')
  })

  t.test(`${kind}: beyond the limit it is passed on to the readers that it has, and the source waits for the slowest one`, async (t) => {
    const { body, ends, source } = setUp(kind)
    const slow = body.openAs(kind)
    const fast = buffer(body.open())
    const recorded = body.whenRecorded()
    source.push(Buffer.alloc(BYTES, 'x'))
    await turns()
    t.ok(body.isOpen)
    source.push(Buffer.alloc(1, 'y'))
    await turns()
    t.same(ends, ['too-large'])
    t.notOk(body.isOpen, 'nobody can begin now')
    t.equal(await recorded, undefined)
    let pieces = 0
    for (; source.wanted > 0 && pieces < 100; pieces++) {
      source.push(Buffer.alloc(8 * KIB, 'z'))
      await turns()
    }
    t.ok(pieces >= 6 && pieces <= 12, `${pieces} pieces until it waits`)
    const all = buffer(slow.stream as Readable)
    await until(() => source.wanted > 0)
    source.end()
    const expected = Buffer.from('x'.repeat(BYTES) + 'y' + 'z'.repeat(pieces * 8 * KIB))
    t.ok((await all).equals(expected))
    t.ok((await fast).equals(expected))
    t.notOk(source.isDropped)
  })

  t.test(`${kind}: beyond the limit, without readers, its source is destroyed`, async (t) => {
    const { body, source } = setUp(kind)
    const reader = body.openAs(kind)
    source.push(Buffer.alloc(BYTES + 1, 'x'))
    await turns()
    t.notOk(source.isDropped)
    reader.leave()
    await turns()
    t.ok(source.isDropped)
  })

  t.test(`${kind}: if recording is stopped, the readers receive all of it`, async (t) => {
    const { body, ends, source } = setUp(kind)
    const reader = body.openAs(kind)
    source.push(Buffer.from('a'))
    await turns()
    body.release()
    t.notOk(body.isOpen)
    source.push(Buffer.from('b'))
    await turns()
    source.end()
    t.equal(await text(reader.stream as Readable), 'ab')
    t.same(ends, [], 'whoever stops it knows')
  })

  t.test(`${kind}: if its source fails, or its pieces are not bytes, so do all its readers`, async (t) => {
    for (const fail of [(source: Source) => source.fail(new Error('broken')), (source: Source) => source.push({ not: 'bytes' })]) {
      const { body, ends, source } = setUp(kind)
      const readers = [read(body, kind), read(body)]
      const recorded = body.whenRecorded()
      source.push(Buffer.from('a'))
      await turns()
      fail(source)
      for (const reader of readers) await t.rejects(reader)
      t.same(ends, ['stream-failed'])
      t.equal(await recorded, undefined)
      t.notOk(body.isOpen)
    }
  })

  t.test(`${kind}: a reader that takes nothing is ended if others wait for it, and only then`, async (t) => {
    const { body, source, stalled } = setUp(kind, { stalledMs: 30 })
    const slow = body.openAs('node')
    const errors: unknown[] = []
    ;(slow.stream as Readable).on('error', (err) => errors.push(err))
    source.push(Buffer.alloc(BYTES + 1))
    await turns()
    while (source.wanted > 0) {
      source.push(Buffer.alloc(8 * KIB))
      await turns()
    }
    await new Promise((resolve) => setTimeout(resolve, 100))
    t.same([stalled(), errors.length], [0, 0], 'a client alone may take its time')
    slow.leave()

    const two = setUp(kind, { stalledMs: 30 })
    const idle = two.body.open()
    idle.on('error', (err) => errors.push(err))
    const other = buffer(two.body.open())
    two.source.push(Buffer.alloc(BYTES + 1))
    await turns()
    while (two.source.wanted > 0) {
      two.source.push(Buffer.alloc(8 * KIB))
      await turns()
    }
    await until(() => two.stalled() === 1)
    t.match(errors, [{ message: /took nothing/ }])
    await until(() => two.source.wanted > 0)
    two.source.end()
    t.ok((await other).byteLength > 64 * KIB)
  })
}

t.test('a source may reuse its pieces, and a reader may change them', async (t) => {
  const { body, ends, source } = setUp('node')
  const changing = body.open()
  changing.on('data', (piece: Buffer) => piece.fill('x'))
  const other = read(body)
  const piece = Buffer.alloc(3)
  for (const text of ['one', 'two', 'six']) {
    piece.write(text)
    source.push(piece)
    await turns()
    piece.fill('y')
  }
  source.end()
  await once(changing, 'end')
  t.equal(await other, 'onetwosix')
  t.same(ends, ['onetwosix'])
  const last = body.open()
  last.on('data', (piece: Buffer) => piece.fill('x'))
  await once(last, 'end')
  t.equal(await read(body), 'onetwosix')
})

t.test('what one body takes from the budget, another may take once the first has ended, however, and nobody reads it', async (t) => {
  const budget = new RecordingBudget(BYTES)
  const ways: Record<string, (source: Source, body: SharedBody) => void> = {
    whole: (source) => source.end(),
    broken: (source) => source.fail(new Error('broken')),
    'too large': (source) => source.push(Buffer.alloc(1)),
    released: (_source, body) => body.release()
  }
  for (const [name, end] of Object.entries(ways)) {
    for (let times = 0; times < 3; times++) {
      const { body, source } = setUp('node', { budget })
      const { stream, leave } = body.openAs('node')
      source.push(Buffer.alloc(BYTES, 'x'))
      await turns()
      const other = setUp('node', { budget })
      other.source.push('x')
      await turns()
      t.same(other.ends, ['no-room'], 'nothing is left for another')
      end(source, body)
      await turns()
      const reader = setUp('node', { budget })
      reader.source.push('x')
      await turns()
      t.same(reader.ends, name === 'broken' ? [] : ['no-room'], `${name}: its reader has not read it`)
      reader.source.end()
      await turns()
      if (times === 0) leave()
      else (stream as Readable).resume()
      await turns()
      if (name !== 'whole' && name !== 'broken') source.end()
      await turns()
    }
  }
  const last = setUp('node', { budget })
  last.source.push(Buffer.alloc(BYTES, 'x'))
  last.source.end()
  await turns()
  t.same(last.ends, ['x'.repeat(BYTES)])
})

t.test('any sizes of pieces, limits and readers: each reader receives all, and the record is the whole', async (t) => {
  const random = seeded(17)
  for (let round = 0; round < 200; round++) {
    const count = 1 + Math.floor(random() * 20)
    const pieces = Array.from({ length: count }, (_, at) => Buffer.alloc(Math.floor(random() ** 3 * 40_000), 97 + at))
    const expected = Buffer.concat(pieces)
    const maxBytes = Math.floor(random() * expected.byteLength * 1.5)
    const { body, ends, source } = setUp('node', { maxBytes, budget: new RecordingBudget(1e9) })
    const readers: Array<Promise<Buffer>> = []
    for (const piece of pieces) {
      if (body.isOpen && random() < 0.3) readers.push(buffer(body.open()))
      source.push(piece)
      await turns(1)
    }
    source.end()
    await turns()
    for (const reader of readers) t.ok((await reader).equals(expected), `round ${round}`)
    t.same(ends, expected.byteLength <= maxBytes ? [expected.toString()] : ['too-large'])
  }
})
