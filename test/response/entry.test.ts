// Entries, and the bytes in which they are stored: whatever is done to the bytes, they are trusted as a whole or not at all.
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { EntryCodec, type Entry, type Head, type ResponseHead } from '../../response/store/entry.js'
import { workedMs } from '../support/loop.js'
import { sized } from '../support/size.js'

const KEY = '0:r GET 2:/a 2:/a 16:http://a.example'
const HEAD: ResponseHead = {
  kind: 'response',
  key: KEY,
  status: 200,
  fields: ['content-type', 'text/plain', 'x-é', 'é'].map((item) => item.replace('x-é', 'x-a')),
  storedAt: 1_900_000_000_000,
  freshUntil: 1_900_000_060_000,
  ageMs: 0,
  text: true,
  tags: ['products', 'stamp']
}

/** Decodes with a codec that has never seen these bytes. */
const decode = (bytes: Uint8Array, key = KEY): Entry | undefined => new EntryCodec().decode(bytes, key)
const encode = (head: Head = HEAD, body: Buffer | string = 'hello, wörld'): Buffer => new EntryCodec().encode(head, body)

/** An entry made by hand: any line, any body, a correct checksum. */
function byHand (
  head: unknown, body: Buffer | string = '', { magic = '{"frc":1,"sum":"', bodyBytes = Buffer.byteLength(body) as unknown } = {}
): Buffer {
  const fields = typeof head === 'string' ? head : JSON.stringify(head).slice(1)
  const rest = Buffer.concat([Buffer.from(`","bodyBytes":${JSON.stringify(bodyBytes)},${fields}\n`), Buffer.from(body)])
  return Buffer.concat([Buffer.from(magic + crc32(rest).toString(16).padStart(8, '0')), rest])
}

t.test('an encoded entry is decoded, by its writer and by another codec', async (t) => {
  const codec = new EntryCodec()
  const bytes = codec.encode(HEAD, 'hello, wörld')
  const read = codec.decode(bytes, KEY)
  t.ok(read)
  t.equal(codec.decode(bytes, KEY), read, 'remembered with its bytes')
  t.strictSame(decode(bytes)?.body.toString(), 'hello, wörld')
  t.match(decode(bytes)?.head, HEAD)
  t.equal(bytes.toString().split('\n', 1)[0]!.includes('"kind":"response"'), true, 'the first line says what it is')
  t.ok(decode(byHand(HEAD, 'x')), 'made by hand and correct')
})

t.test('any head and any body are decoded as they were', async (t) => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.string({ unit: 'binary' }), fc.integer({ min: 200, max: 599 }),
    (body, key, status) => {
      const bytes = encode({ ...HEAD, key, status }, Buffer.from(body))
      const entry = decode(new Uint8Array(bytes), key)
      return entry !== undefined && entry.body.equals(body) && (entry.head as ResponseHead).status === status
    }), { numRuns: sized(2_000) })
  for (const body of [
    Buffer.alloc(0),
    Buffer.from([0]),
    Buffer.from(Array.from({ length: 256 }, (_, at) => at)),
    Buffer.from('\n\n'),
    Buffer.alloc(3_000_000, '\n')
  ]) t.ok(decode(encode(HEAD, body))?.body.equals(body))
})

t.test('one flipped bit, anywhere, is a miss and never other bytes', async (t) => {
  const bytes = encode()
  const codec = new EntryCodec()
  codec.decode(Buffer.from(bytes), KEY)
  const believed: string[] = []
  for (let at = 0; at < bytes.byteLength; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[at]! ^= 1 << bit
      // Decoded by a codec that has seen the whole entry, and by one that has not.
      if (codec.decode(flipped, KEY) !== undefined || decode(flipped) !== undefined) believed.push(`bit ${bit} of byte ${at}`)
    }
  }
  t.strictSame(believed, [])
})

t.test('an entry that is cut short anywhere, or has something appended, is a miss', async (t) => {
  const bytes = encode()
  const believed: number[] = []
  for (let length = 0; length < bytes.byteLength; length++) {
    if (decode(Buffer.from(bytes.subarray(0, length))) !== undefined) believed.push(length)
  }
  t.strictSame(believed, [])
  for (const more of ['\0', '\n', 'x', bytes.toString('latin1')]) t.equal(decode(Buffer.concat([bytes, Buffer.from(more)])), undefined)
  t.equal(decode(Buffer.concat([Buffer.from(' '), bytes])), undefined)
})

t.test('foreign bytes are a miss', async (t) => {
  for (const text of [
    '', '[]', 'null', '{}', '0', '\n', '{"frc":1}', '{"frc":1,"sum":"', '{"frc":1,"sum":"00000000"}\n', '\xff\xfe\xfd', '<html>',
    '{"frc":1,"sum":"00000000","bodyBytes":0}\n', '\n'.repeat(100)
  ]) {
    t.equal(decode(Buffer.from(text, 'latin1')), undefined, JSON.stringify(text))
  }
  t.equal(decode(byHand(HEAD, '', { magic: '{"frc":2,"sum":"' })), undefined, 'another format number')
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => decode(bytes) === undefined), { numRuns: sized(5_000) })
  fc.assert(fc.property(fc.string(), (text) => decode(byHand(text)) === undefined), { numRuns: sized(2_000) })
  fc.assert(fc.property(fc.json(), (text) => decode(byHand(`"x":${text}}`)) === undefined), { numRuns: sized(2_000) })
})

t.test('an entry of another key is a miss, also for its writer', async (t) => {
  const codec = new EntryCodec()
  const bytes = codec.encode(HEAD, 'alice')
  for (const key of ['', KEY + ' ', KEY.slice(1), 'other', '__proto__']) {
    t.equal(codec.decode(bytes, key), undefined)
    t.equal(decode(bytes, key), undefined)
  }
  t.ok(codec.decode(bytes, KEY))
  t.equal(codec.decode(bytes, 'another'), undefined, 'not even if it was read before')
})

t.test('a head with a correct checksum and a wrong field is not trusted', async (t) => {
  const wrong: Array<Record<string, unknown>> = [
    ...[99, 100, 199, 600, 1000, '200', 200.5, null, -200, NaN].map((status) => ({ status })),
    ...[
      ['x', 'a\r\nset-cookie: evil=1'], ['x\r\n', 'a'], ['x', 'a\0'], ['X', 'a'], ['x'], ['x', 1], 'x', null, {}, ['__proto__', 'x'],
      ['x', '\u0100'], ['connection', 'close'], ['transfer-encoding', 'chunked'], [['x', 'a']]
    ].map((fields) => ({ fields })),
    ...['soon', -1, null, '1', {}].flatMap((instant) => [{ storedAt: instant }, { freshUntil: instant }, { ageMs: instant }]),
    { text: 'yes' }, { text: 1 }, { tags: ['a'] }, { tags: ['a', 1] }, { tags: 'ab' }, { tags: {} }, { removed: 'x' }, { removed: [1] },
    { kind: 'other' }, { kind: undefined }, { kind: '__proto__' }, { kind: 'toString' }, { key: 1 }, { key: undefined }
  ]
  for (const change of wrong) t.equal(decode(byHand({ ...HEAD, ...change })), undefined, JSON.stringify(change))
  for (const bodyBytes of [0, 4, '5', null, -5, 1e9]) {
    t.equal(decode(byHand(HEAD, 'hello', { bodyBytes })), undefined, `bodyBytes ${JSON.stringify(bodyBytes)}`)
  }
  for (const line of ['"key":', '[]', '', '"a":1}}', '"a":1', 'null}']) t.equal(decode(byHand(line)), undefined, line)
  for (const head of [
    { kind: 'variants', key: KEY, storedAt: 1 },
    { kind: 'variants', key: KEY, storedAt: 1, names: [1], list: 'x', ids: [] },
    { kind: 'variants', key: KEY, storedAt: 1, names: [], list: 1, ids: [] },
    { kind: 'value', key: KEY, storedAt: 1, json: 'yes' }
  ]) t.equal(decode(byHand(head)), undefined, JSON.stringify(head))
})

t.test('__proto__ and constructor in a head change no object', async (t) => {
  const nested = '{"polluted":true,"status":500,"fields":["x","y"]}'
  const line = `${JSON.stringify(HEAD).slice(1, -1)},"__proto__":${nested},"constructor":{"prototype":${nested}}}`
  const entry = decode(byHand(line))
  t.equal((entry?.head as ResponseHead).status, 200)
  t.equal(({} as { polluted?: true }).polluted, undefined)
  t.equal({ ...entry?.head as object & { polluted?: true } }.polluted, undefined)
  t.equal(decode(byHand(`"__proto__":${JSON.stringify(HEAD)}}`)), undefined, 'an inherited field does not count')
})

t.test('bytes that share a buffer with others are read within their own bounds', async (t) => {
  const bytes = encode()
  const around = new Uint8Array(bytes.byteLength + 20).fill(10)
  around.set(bytes, 7)
  t.equal(decode(around.subarray(7, 7 + bytes.byteLength))?.body.toString(), 'hello, wörld')
})

t.test('a line of 5 MB, or 5 MB without a line break, is read in time', async (t) => {
  for (const bytes of [
    Buffer.alloc(5e6, 'a'), byHand({ ...HEAD, fields: ['x', 'a'.repeat(5e6)] }),
    byHand({ ...HEAD, tags: Array.from({ length: 2e5 }, () => 'tag') }), byHand(`"a":${'['.repeat(1e5)}`)
  ]) {
    const before = workedMs()
    decode(bytes)
    t.ok(workedMs() - before < 1_000)
  }
})
