// Cases for values: whatever their bytes are, they are returned unchanged.
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { always, type ConformanceCase } from './case.js'
import { bytesOf, LIFE_MS } from './entries.js'
import { assertHolds } from './expect.js'
import { outcomeOf } from './outcome.js'

const MEBIBYTE = 1024 * 1024
const ALL_BYTES = Uint8Array.from({ length: 256 }, (_, byte) => byte)
const UTF8_MARK = Uint8Array.of(0xef, 0xbb, 0xbf)
const BUFFER_SIZES = [256, 4_096, 16_384, 65_536]

const texts = (...all: string[]): Uint8Array[] => all.map(bytesOf)
const bytes = (...all: number[][]): Uint8Array[] => all.map((one) => Uint8Array.from(one))
const sized = (length: number): Uint8Array => Uint8Array.from({ length }, (_, at) => (at * 31 + (at >> 8)) & 0xff)

const VALUES: ReadonlyArray<readonly [name: string, values: readonly Uint8Array[]]> = [
  ['an empty value is an entry, not a miss', bytes([])],
  ['a value of one byte survives', bytes([0x41])],
  ['each of the 256 bytes survives as a one-byte value', [...ALL_BYTES].map((byte) => Uint8Array.of(byte))],
  ['a NUL, a newline and 0xFF survive', bytes([0x00, 0x0a, 0x0d, 0xff, 0x00])],
  ['white space at either end of a value survives', texts(' a ', '\ta\t', '\u00a0a\u00a0', '\u3000a', 'a\u2028', '\v', ' ')],
  ['a newline at either end of a value survives', texts('a\n', '\na', 'a\n\n', 'a\r\n', '\r\na', 'a\r', '\n', '\r\n')],
  ['line endings within a value survive unchanged', texts('a\nb\r\nc\rd\n\re', 'a\u0085b\u2028c\u2029d')],
  ['a NUL at either end of a value survives', bytes([0x61, 0], [0, 0x61], [0x61, 0, 0], [0], [0, 0])],
  ['all 256 bytes survive', [ALL_BYTES]],
  ['bytes that are not valid UTF-8 survive', bytes([0xc3, 0x28, 0xed, 0xa0, 0x80, 0xf8, 0x80])],
  ['text in any script survives', texts('\u00e9\u0141', '\u9375', '\u{1f5dd}\ufe0f', '\uffff\u{10ffff}')],
  ['composed and decomposed letters in a value survive', texts('e\u0301', '\u00e9', '\u212b', 'A\u030a', '\ufb01')],
  ['text that looks like null or like JSON survives', texts('null\n{"__proto__":{"polluted":true}}')],
  ['text that looks like a number survives', texts('007', '1e3', '1.0', '-0', '+1', '0x10', '9007199254740993', 'NaN', '1 ')],
  [
    'text that looks like encoded bytes survives',
    texts('base64:YQ==', ':base64:YQ==', 'YQ==', 'data:;base64,YQ==', '{"type":"Buffer","data":[97]}', '\\x61', '%61', '&#97;', 'a+b')
  ],
  ['bytes that are already compressed survive', [gzipSync('value'), deflateSync('value'), brotliCompressSync('value')]],
  ['a byte order mark at the start of a value survives', [Uint8Array.of(...UTF8_MARK, 0x61)]],
  [
    'a byte order mark survives at the end of a value, alone, and in another encoding',
    bytes([0x61, ...UTF8_MARK], [...UTF8_MARK], [...UTF8_MARK, ...UTF8_MARK], [0xfe, 0xff, 0, 0x61], [0xff, 0xfe, 0x61, 0])
  ],
  ['values around common buffer sizes survive', BUFFER_SIZES.flatMap((size) => [size - 1, size, size + 1].map(sized))],
  ['a value of 1 MiB survives', [sized(MEBIBYTE)]],
  ['a view into a larger buffer is stored without the rest of the buffer', [ALL_BYTES.subarray(65, 70)]]
]

const ADVICE = 'Values are bytes, not text: store them as bytes (a BLOB, a Buffer) or in base64'

const tableCases: readonly ConformanceCase[] = VALUES.map(([name, values]) =>
  always(name, async (backend, subject) => {
    for (const value of values) {
      await backend.set('key', { value, expiresAt: subject.now() + LIFE_MS })
      assertHolds(await backend.get('key'), value, 'get()')
    }
  }, { advice: ADVICE }))

export const valueCases: readonly ConformanceCase[] = [
  ...tableCases,

  always('a value slightly larger than 2 MiB is returned whole or not at all', async (backend, subject) => {
    const value = Buffer.alloc(2 * MEBIBYTE + 1, ALL_BYTES)
    const set = await outcomeOf('set() of slightly more than 2 MiB', () =>
      backend.set('key', { value, expiresAt: subject.now() + LIFE_MS }))
    // A failed set is accepted, because a store may refuse a value that is too large for it.
    if ('error' in set) return
    const hit = await backend.get('key')
    if (hit !== undefined) assertHolds(hit, value, 'get()')
  }, { advice: 'If a value is too large for your store, refuse it or store nothing; never store a part of it' })
]
