// Which header fields go into an entry: those that the handler set, and that another response may have.
import { validateHeaderName, validateHeaderValue } from 'node:http'
import fc from 'fast-check'
import t from 'tap'
import { allowsOneOrigin, areFields, FIELDS_NOT_STORED, fieldsRemoved, fieldsToStore } from '../../response/http/stored-fields.js'
import { sized } from '../support/size.js'

t.test('fields of one connection, one response or one request are not stored', async (t) => {
  const fields = {
    connection: 'close, X-Secret ,x-other',
    'keep-alive': 'timeout=5',
    'proxy-authenticate': 'Basic',
    'proxy-connection': 'close',
    te: 'trailers',
    trailer: 'x-sum',
    'transfer-encoding': 'chunked',
    upgrade: 'h2c',
    'content-length': '3',
    age: '7',
    'set-cookie': ['a=b'],
    'x-request-id': '1',
    'x-correlation-id': '1',
    traceparent: '1',
    'server-timing': 'db',
    'x-ratelimit-remaining': '3',
    ratelimit: 'x',
    'x-secret': 'alice',
    'x-other': 'alice',
    etag: '"1"',
    date: 'Tue, 06 May 2031 07:08:09 GMT',
    'x-keep': '1'
  }
  t.strictSame(fieldsToStore({}, fields), ['etag', '"1"', 'date', 'Tue, 06 May 2031 07:08:09 GMT', 'x-keep', '1'])
})

t.test('no field of this list is stored, or trusted in a stored entry', async (t) => {
  const notStored = [
    'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization', 'proxy-connection', 'te',
    'trailer', 'transfer-encoding', 'upgrade', 'content-length', 'age', 'x-request-id', 'request-id', 'x-correlation-id', 'traceparent',
    'tracestate', 'server-timing', 'x-response-time', 'x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset', 'ratelimit',
    'ratelimit-policy', 'ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'
  ]
  t.same([...FIELDS_NOT_STORED].sort(), notStored.sort(), 'a field that is added here is added there')
  for (const name of notStored) {
    t.strictSame(fieldsToStore({}, { [name]: 'x', etag: '"1"' }), ['etag', '"1"'], name)
    t.notOk(areFields([name, 'x']), name)
  }
})

t.test('RFC 9211 section 2: the members of upstream caches are stored, as one line', async (t) => {
  t.strictSame(fieldsToStore({}, { 'cache-status': 'up; hit' }), ['cache-status', 'up; hit'])
  t.strictSame(fieldsToStore({}, { 'cache-status': ['far; hit', 'near; fwd=miss'] }), ['cache-status', 'far; hit, near; fwd=miss'])
  t.strictSame(fieldsToStore({ 'cache-status': 'hook; hit' }, { 'cache-status': 'hook; hit' }), [])
})

t.test('fields that hooks had set before the handler ran belong to the request, unless the handler changed them', async (t) => {
  const before = {
    'access-control-allow-origin': 'https://a',
    'content-security-policy': "script-src 'nonce-1'",
    'x-frame-options': 'DENY',
    'x-user': 'alice',
    'x-list': ['a', 'b']
  }
  t.strictSame(fieldsToStore(before, { ...before, 'content-type': 'text/plain' }), ['content-type', 'text/plain'])
  t.strictSame(fieldsToStore(before, { ...before, 'x-frame-options': 'SAMEORIGIN' }), ['x-frame-options', 'SAMEORIGIN'])
  t.strictSame(fieldsRemoved(before, { 'x-list': before['x-list'] }), [
    'access-control-allow-origin', 'content-security-policy', 'x-frame-options', 'x-user'
  ])
  t.strictSame(fieldsRemoved({ a: undefined }, {}), [])
})

t.test('lists keep their lines, numbers become text, undefined is omitted', async (t) => {
  t.strictSame(fieldsToStore({}, { link: ['<a>', '<b>'], 'x-n': 5, 'x-none': undefined, 'x-empty': '' }), [
    'link', '<a>', 'link', '<b>', 'x-n', '5', 'x-empty', ''
  ])
})

t.test('a response with a field that could not be sent again is not stored', async (t) => {
  for (const fields of [
    { 'x-a': 'a\r\nset-cookie: b' }, { 'x-a': 'a\nb' }, { 'x-a': 'a\0' }, { 'x-a': '✓' }, { 'x a': 'b' }, { 'x\r\n': 'b' }, { é: 'b' },
    { 'x-a': ['ok', 'a\r'] }, Object.fromEntries([['__proto__', 'x']])
  ]) {
    t.equal(fieldsToStore({}, fields), undefined, JSON.stringify(fields))
  }
})

t.test('a value that is not a list of fields, or contains one that is never stored, is not trusted', async (t) => {
  t.ok(areFields([]))
  t.ok(areFields(['a', 'b', 'a', 'c\u00e9\t']))
  for (const pairs of [
    undefined, null, 'ab', {}, ['a'], ['a', 1], [1, 'a'], ['a', null], ['A', 'b'], ['', 'b'], ['a b', 'c'], ['a\n', 'b'], ['a', 'b\n'],
    ['a', 'b\r\nc: d'], ['a', '\0'], ['a', '\u0100'], ['__proto__', 'b'], ['a', ['b']], ['a', 'b', 'c'], ['connection', 'close'],
    ['content-length', '0'], ['transfer-encoding', 'chunked']
  ]) {
    t.notOk(areFields(pairs), JSON.stringify(pairs))
  }
})

t.test('stored fields can be sent by Node, whatever a handler set', async (t) => {
  const anyValue = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.array(fc.string()), fc.integer())
  fc.assert(fc.property(fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'x-a', 'connection', 'constructor')), anyValue),
    (fields) => {
      const pairs = fieldsToStore({}, fields)
      // Both throw what Node would throw while it writes a head.
      for (let at = 0; at < (pairs ?? []).length; at += 2) {
        validateHeaderName(pairs![at]!)
        validateHeaderValue(pairs![at]!, pairs![at + 1]!)
      }
      return pairs === undefined || areFields(pairs)
    }), { numRuns: sized(10_000) })
  t.pass('for all fields')
})

t.test('a response for one origin is told from one for all origins, also beside a similar value of another field', async (t) => {
  t.ok(allowsOneOrigin(['access-control-allow-origin', 'https://a']))
  t.ok(allowsOneOrigin(['x', 'y', 'access-control-allow-origin', 'null']))
  t.ok(allowsOneOrigin(['access-control-expose-headers', 'access-control-allow-origin', 'access-control-allow-origin', 'https://a']))
  t.ok(allowsOneOrigin(['access-control-allow-origin', '*', 'access-control-allow-origin', 'https://a']))
  t.notOk(allowsOneOrigin(['access-control-allow-origin', '*']))
  t.notOk(allowsOneOrigin(['x', 'access-control-allow-origin']))
  t.notOk(allowsOneOrigin([]))
})
