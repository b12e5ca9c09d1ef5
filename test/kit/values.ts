// Values: the bytes come back as they were, whatever they are.
import { always, type ConformanceCase } from './case.js'
import { LIFE_MS } from './entries.js'
import { assertHolds } from './expect.js'

const MEBIBYTE = 1024 * 1024
const ALL_BYTES = Uint8Array.from({ length: 256 }, (_, byte) => byte)

const VALUES: ReadonlyArray<readonly [name: string, value: Uint8Array]> = [
  ['an empty value is an entry and not a miss', new Uint8Array(0)],
  ['a value of one byte survives', Uint8Array.of(0x41)],
  ['a NUL, a newline and 0xFF survive', Uint8Array.of(0x00, 0x0a, 0x0d, 0xff, 0x00)],
  ['all 256 bytes survive', ALL_BYTES],
  ['bytes that are not UTF-8 survive', Uint8Array.of(0xc3, 0x28, 0xed, 0xa0, 0x80, 0xf8, 0x80)],
  ['text that looks like nothing or like JSON survives', new TextEncoder().encode('null\n{"__proto__":{"polluted":true}}')],
  ['a byte order mark survives', Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)],
  ['1 MiB survives', Uint8Array.from({ length: MEBIBYTE }, (_, at) => (at * 31 + (at >> 8)) & 0xff)],
  ['of a view into a larger buffer only the view is stored', ALL_BYTES.subarray(65, 70)]
]

const ADVICE = 'Values are bytes, not text: store them as they are (a BLOB, a Buffer), or through base64'

export const valueCases: readonly ConformanceCase[] = VALUES.map(([name, value]) =>
  always(name, async (backend, subject) => {
    await backend.set('key', { value, expiresAt: subject.now() + LIFE_MS })
    assertHolds(await backend.get('key'), value, 'get()')
  }, { advice: ADVICE }))
