// Recordings: all of them together have a limit, and what one recording releases another may use.
import { Readable } from 'node:stream'
import t from 'tap'
import { BodyRecording, RecordingBudget, teed, type RecordingEnd } from '../../response/fill/recording.js'

const BYTES = 1_000

/** A recording, and how it ended. */
function recording (budget: RecordingBudget, maxBytes = BYTES) {
  const ends: unknown[] = []
  const end: RecordingEnd = { whole: (body) => { ends.push(body) }, failed: (why) => { ends.push(why) } }
  return { ends, recording: new BodyRecording(maxBytes, budget, end) }
}

t.test('a recording releases its bytes when it ends, however it ends', async (t) => {
  const budget = new RecordingBudget(BYTES)
  const waysToEnd: ReadonlyArray<readonly [name: string, end: (recording: BodyRecording) => void, last: unknown]> = [
    ['whole', (one) => one.complete(), Buffer.alloc(BYTES, 'x')],
    ['failed', (one) => one.fail('stream-failed'), 'stream-failed'],
    ['too large', (one) => one.add(Buffer.alloc(1)), 'too-large'],
    ['not of bytes', (one) => one.add({}), 'stream-failed']
  ]
  for (const [name, end, last] of waysToEnd) {
    for (let times = 0; times < 3; times++) {
      const { ends, recording: one } = recording(budget)
      one.add(Buffer.alloc(BYTES, 'x'))
      const { ends: others, recording: other } = recording(budget)
      other.add('x')
      t.same(others, ['too-large'], 'nothing is left for another')
      end(one)
      t.same(ends, [last], name)
      one.complete()
      one.fail('stream-failed')
      t.equal(ends.length, 1, 'it ends once')
    }
  }
})

t.test('a recording keeps its own bytes: a source may reuse its chunk', async (t) => {
  const { ends, recording: one } = recording(new RecordingBudget(BYTES))
  const chunk = Buffer.alloc(3)
  for (const text of ['one', 'two', 'six']) {
    chunk.write(text)
    one.add(chunk)
  }
  chunk.fill('x')
  one.complete()
  t.same(ends, [Buffer.from('onetwosix')])
})

t.test('a body may be as large as the limit, and no larger', async (t) => {
  for (const [more, end] of [[0, Buffer.alloc(BYTES, 'x')], [1, 'too-large']] as const) {
    const { ends, recording: one } = recording(new RecordingBudget(10 * BYTES))
    one.add(Buffer.alloc(BYTES - 1, 'x'))
    one.add(Buffer.alloc(1 + more, 'x'))
    one.complete()
    t.same(ends, [end])
  }
})

t.test('if a recorded stream is destroyed, its source is destroyed too', async (t) => {
  const kinds: Record<'node' | 'web', () => { source: object, isDropped: () => boolean }> = {
    node () {
      const source = new Readable({ read () {} })
      return { source, isDropped: () => source.destroyed }
    },
    web () {
      let isCancelled = false
      return { source: new ReadableStream({ cancel () { isCancelled = true } }), isDropped: () => isCancelled }
    }
  }
  for (const kind of ['node', 'web'] as const) {
    const { source, isDropped } = kinds[kind]()
    const { ends, recording: one } = recording(new RecordingBudget(BYTES))
    const stream = teed(kind, source, one)
    if (stream instanceof Readable) stream.destroy()
    else await stream.cancel()
    t.ok(isDropped(), kind)
    t.same(ends, ['stream-failed'], kind)
  }
})
