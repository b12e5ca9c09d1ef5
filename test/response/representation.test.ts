// A stored response, reduced to what a request selects.
import t from 'tap'
import type { Entry, ResponseHead } from '../../response/store/entry.js'
import { selectRepresentation } from '../../response/serve/representation.js'

const AT = Date.UTC(2031, 4, 6, 7, 8, 9)
const FIELDS = [
  'content-type', 'text/plain', 'etag', '"a"', 'cache-control', 'max-age=60', 'vary', 'accept', 'x-own', '1', 'repr-digest', 'r',
  'content-digest', 'c', 'content-md5', 'm'
]

function entryOf (body: string, more: Partial<ResponseHead> = {}): Entry<ResponseHead> {
  return {
    head: { kind: 'response', key: 'k', status: 200, fields: FIELDS, storedAt: AT, freshUntil: AT + 1, ageMs: 0, text: true, ...more },
    body: Buffer.from(body)
  }
}

function select (
  headers: Record<string, string>, { body = '0123456789', method = 'GET', wholeOnly = false, ...more }: Partial<ResponseHead> & {
    body?: string, method?: string, wholeOnly?: boolean
  } = {}
): { status: number, text: string, fields: Record<string, string> } {
  const { head, body: bytes } = selectRepresentation(entryOf(body, more), headers, { method, at: AT, wholeOnly })
  return {
    status: head.status,
    text: bytes.toString('latin1'),
    fields: Object.fromEntries(head.fields.flatMap((name, at) => at % 2 === 0 ? [[name, head.fields[at + 1] as string]] : []))
  }
}

t.test('RFC 9110 section 15.4.5: a 304 has the fields of the 200 except those that describe its content', async (t) => {
  t.same(select({ 'if-none-match': '"a"' }), {
    status: 304, text: '', fields: { etag: '"a"', 'cache-control': 'max-age=60', vary: 'accept', 'x-own': '1', 'repr-digest': 'r' }
  })
  t.match(select({ 'if-none-match': '"a"' }, { method: 'HEAD' }), { status: 304 })
  t.match(select({ 'if-match': '"b"' }), { status: 412, text: '' })
})

t.test('the 304 of an entry is made once', async (t) => {
  const entry = entryOf('0123456789')
  const ask = { method: 'GET', at: AT, wholeOnly: false }
  t.equal(selectRepresentation(entry, { 'if-none-match': '"a"' }, ask), selectRepresentation(entry, { 'if-none-match': '*' }, ask))
  t.not(selectRepresentation(entryOf('0123456789'), { 'if-none-match': '"a"' }, ask),
    selectRepresentation(entry, { 'if-none-match': '"a"' }, ask))
})

t.test('RFC 9110 section 15.3.7.1: one part has all fields of the 200', async (t) => {
  t.same(select({ range: 'bytes=2-4' }), {
    status: 206,
    text: '234',
    fields: {
      'content-type': 'text/plain',
      etag: '"a"',
      'cache-control': 'max-age=60',
      vary: 'accept',
      'x-own': '1',
      'repr-digest': 'r',
      'content-range': 'bytes 2-4/10'
    }
  })
  t.match(select({ range: 'bytes=-1' }), { status: 206, text: '9', fields: { 'content-range': 'bytes 9-9/10' } })
  t.match(select({ range: 'bytes=5-' }), { status: 206, text: '56789' })
})

t.test('RFC 9110 section 15.3.7.2: each of several parts has its type and its place; the whole is sent if it is shorter', async (t) => {
  const { status, text, fields } = select({ range: 'bytes=0-1, 500-502, -2' }, { body: 'abc'.repeat(400) })
  t.equal(status, 206)
  const boundary = /^multipart\/byteranges; boundary=([\w-]{24})$/.exec(fields['content-type'] ?? '')?.[1] as string
  t.equal(text, [
    `\r\n--${boundary}`, 'Content-Type: text/plain', 'Content-Range: bytes 0-1/1200', '', 'ab', `--${boundary}`, 'Content-Type: text/plain',
    'Content-Range: bytes 500-502/1200', '', 'cab', `--${boundary}`, 'Content-Type: text/plain', 'Content-Range: bytes 1198-1199/1200', '',
    'bc', `--${boundary}--`, ''
  ].join('\r\n'))
  t.match(fields, { 'repr-digest': 'r', 'content-digest': undefined, 'content-md5': undefined }, 'RFC 9530 section 2')
  t.equal(fields['content-range'], undefined, 'RFC 9110 section 15.3.7.2: not beside a multipart content')
  t.match(select({ range: 'bytes=0-1, 5-6' }), { status: 200, text: '0123456789' })
})

t.test('RFC 9110 section 15.5.17: a range after the end gets 416', async (t) => {
  t.match(select({ range: 'bytes=10-' }), {
    status: 416, text: '', fields: { 'content-range': 'bytes */10', 'content-type': undefined, 'content-digest': undefined }
  })
})

t.test('a 412 and a 416 have no field that describes the content, or says how long it is fresh', async (t) => {
  const ofTheWhole = [
    'content-type', 'content-encoding', 'content-language', 'content-range', 'content-digest', 'content-md5',
    'expires', 'cache-control', 'cdn-cache-control', 'surrogate-control', 'last-modified'
  ]
  const fields = [...ofTheWhole, 'etag', 'vary', 'x-own'].flatMap((name) => [name, '"a"'])
  t.same(select({ 'if-match': '"b"' }, { fields }), { status: 412, text: '', fields: { etag: '"a"', vary: '"a"', 'x-own': '"a"' } })
  t.same(select({ range: 'bytes=10-' }, { fields }), {
    status: 416, text: '', fields: { etag: '"a"', vary: '"a"', 'x-own': '"a"', 'content-range': 'bytes */10' }
  })
})

t.test('RFC 9110 section 14.2: the whole is sent if a part must not be', async (t) => {
  const whole = { status: 200, text: '0123456789', fields: { 'content-range': undefined } }
  t.match(select({ range: 'bytes=0-1' }, { method: 'HEAD' }), whole)
  t.match(select({ range: 'bytes=0-1', 'if-range': '"b"' }), whole)
  t.match(select({ range: 'bytes=10-', 'if-range': '"b"' }), whole)
  t.match(select({ range: 'items=0-1' }), whole)
  t.match(select({ range: 'bytes=0-1' }, { wholeOnly: true }), whole, 'other hooks may still change the body')
  t.match(select({ range: 'bytes=0-1' }, { status: 203 }), { status: 203 })
  t.match(select({ range: 'bytes=0-1', 'if-range': '"a"' }), { status: 206 })
})

t.test('RFC 9110 section 13.2.1: conditions apply to successful responses, of methods that only read', async (t) => {
  t.match(select({ 'if-none-match': '"a"', range: 'bytes=0-1' }, { status: 404 }), { status: 404, text: '0123456789' })
  t.match(select({ 'if-none-match': '"a"' }, { method: 'POST' }), { status: 200 })
})

t.test('RFC 9110 section 13.2.2: a condition takes precedence over the range', async (t) => {
  t.match(select({ 'if-none-match': '"a"', range: 'bytes=0-1' }), { status: 304 })
  t.match(select({ 'if-match': '"b"', range: 'bytes=99-' }), { status: 412 })
  t.match(select({ 'if-none-match': '"b"', range: 'bytes=0-1' }), { status: 206 })
})
