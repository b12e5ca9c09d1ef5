// Validators: what is one. A client's conditions: what each makes of a stored response, and which goes before which.
import fc from 'fast-check'
import t from 'tap'
import { canBeValidated, isConditional, isRangeOf, precondition, validatorsOf } from '../../response/http/conditional.js'
import { sized } from '../support/size.js'

const AT = Date.UTC(2031, 4, 6, 7, 8, 9)
const [BEFORE, CHANGED, AFTER] = ['Tue, 06 May 2031 06:00:00 GMT', 'Tue, 06 May 2031 07:00:00 GMT', 'Tue, 06 May 2031 07:05:00 GMT']
const STRONG = ['etag', '"a"', 'last-modified', CHANGED, 'date', AFTER]
const WEAK = ['etag', 'W/"a"']
const outcome = (headers: Record<string, string>, fields: readonly string[] = STRONG): number => precondition(headers, { fields, at: AT })

t.test('RFC 9110 section 8.8.3: an entity tag is quoted text, weak or not; anything else is no validator', async (t) => {
  for (const etag of ['"a"', '""', 'W/"a"', '"\xfc"', '"a,b"', '"W/"']) t.equal(validatorsOf(['etag', etag], AT).etag, etag)
  for (const etag of ['a', '"a', 'w/"a"', 'W\\"a"', 'W"a"', '"a b"', '"a"b"', '', ' "a"', '"\x7f"', '"a", "b"']) {
    t.equal(validatorsOf(['etag', etag], AT).etag, undefined, JSON.stringify(etag))
    t.notOk(canBeValidated(validatorsOf(['x', 'y', 'etag', etag], AT)))
  }
})

t.test('RFC 9110 section 8.8.2: a date of modification is one that can be read, and is passed on as it was written', async (t) => {
  t.same(validatorsOf(['last-modified', CHANGED], AT), { etag: undefined, lastModified: CHANGED, lastModifiedAt: Date.UTC(2031, 4, 6, 7) })
  t.notOk(canBeValidated(validatorsOf(['last-modified', 'yesterday'], AT)))
  t.ok(canBeValidated(validatorsOf(['last-modified', CHANGED], AT)))
})

t.test('RFC 9110 section 13.1.2: If-None-Match is false for a tag that is the same weakly, and for `*`', async (t) => {
  for (const field of ['"a"', 'W/"a"', '"x", "a"', 'W/"x" , W/"a", "y"', '*']) {
    t.equal(outcome({ 'if-none-match': field }), 304, field)
    t.equal(outcome({ 'if-none-match': field }, WEAK), 304, `${field}, weak`)
  }
  for (const field of ['"b"', '"A"', 'a', '"a" "b"', '', 'w/"a"']) t.equal(outcome({ 'if-none-match': field }), 200, field)
  t.equal(outcome({ 'if-none-match': '"a"' }, []), 200, 'an answer without a tag has none in common')
  t.equal(outcome({ 'if-none-match': 'a' }, ['etag', 'a']), 200, 'what is no tag is no tag on either side')
})

t.test('RFC 9110 section 13.1.3: If-Modified-Since is false from the date of modification on', async (t) => {
  t.equal(outcome({ 'if-modified-since': CHANGED }), 304)
  t.equal(outcome({ 'if-modified-since': AFTER }), 304)
  t.equal(outcome({ 'if-modified-since': 'Tuesday, 06-May-31 07:00:00 GMT' }), 304, 'in an obsolete format')
  t.equal(outcome({ 'if-modified-since': BEFORE }), 200)
  for (const field of ['garbage', '0', '', 'Tue, 06 May 2031 09:00:00 UTC']) {
    t.equal(outcome({ 'if-modified-since': field }), 200, `${field}`)
    t.equal(outcome({ 'if-modified-since': field }, ['last-modified', field, 'date', AFTER]), 200, `${field} on both sides`)
  }
})

t.test('RFC 9111 section 4.3.2: without Last-Modified, If-Modified-Since is compared with Date', async (t) => {
  t.equal(outcome({ 'if-modified-since': AFTER }, ['date', AFTER]), 304)
  t.equal(outcome({ 'if-modified-since': CHANGED }, ['date', AFTER]), 200)
  t.equal(outcome({ 'if-modified-since': AFTER }, []), 200)
})

t.test('RFC 9110 section 13.1.1: If-Match compares strongly, and `*` is any', async (t) => {
  for (const field of ['"a"', '"x", "a"', '*']) t.equal(outcome({ 'if-match': field }), 200, field)
  for (const field of ['"b"', 'W/"a"', 'a', '']) t.equal(outcome({ 'if-match': field }), 412, field)
  t.equal(outcome({ 'if-match': 'W/"a"' }, WEAK), 412, 'a weak tag is the same as none, strongly')
})

t.test('RFC 9110 section 13.1.4: If-Unmodified-Since is false before the date of modification', async (t) => {
  t.equal(outcome({ 'if-unmodified-since': BEFORE }), 412)
  t.equal(outcome({ 'if-unmodified-since': CHANGED }), 200)
  t.equal(outcome({ 'if-unmodified-since': 'garbage' }), 200)
  t.equal(outcome({ 'if-unmodified-since': BEFORE }, WEAK), 200, 'nothing to compare it with')
})

t.test('RFC 9110 section 13.2.2: a tag goes before a date, and what must hold before what must not', async (t) => {
  t.equal(outcome({ 'if-match': '"a"', 'if-unmodified-since': BEFORE }), 200)
  t.equal(outcome({ 'if-none-match': '"a"', 'if-modified-since': BEFORE }), 304)
  t.equal(outcome({ 'if-none-match': '"b"', 'if-modified-since': AFTER }), 200)
  t.equal(outcome({ 'if-match': '"b"', 'if-none-match': '"a"' }), 412)
  t.equal(outcome({ 'if-match': '"a"', 'if-none-match': '"a"' }), 304)
  t.equal(outcome({ 'if-unmodified-since': BEFORE, 'if-modified-since': AFTER }), 412)
})

t.test(
  'RFC 9110 section 13.1.5: If-Range is for this very answer: the same tag strongly, or its date to the letter, if that is a strong one',
  async (t) => {
    const isFor = (field: string | undefined, fields: readonly string[] = STRONG): boolean => isRangeOf(field, { fields, at: AT })
    t.ok(isFor(undefined))
    t.ok(isFor('"a"'))
    t.ok(isFor(CHANGED))
    for (const field of ['"b"', 'W/"a"', 'a', '', AFTER, BEFORE, '"a", "b"', '*', 'Tuesday, 06-May-31 07:00:00 GMT']) {
      t.notOk(isFor(field), field)
    }
    t.notOk(isFor('W/"a"', WEAK))
    t.notOk(isFor(CHANGED, ['last-modified', CHANGED]), 'nobody knows when that was said')
    t.notOk(isFor(CHANGED, ['last-modified', CHANGED, 'date', CHANGED]), 'said in the second of the change')
  })

t.test('a request is told to be conditional by every field that makes it so', async (t) => {
  for (const name of ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'range']) {
    t.ok(isConditional({ [name]: '' }), name)
  }
  t.notOk(isConditional({ 'if-range': '"a"', host: 'x' }), 'If-Range alone asks for nothing')
})

t.test('there is an outcome for whatever comes', async (t) => {
  const text = fc.oneof(fc.string(), fc.constantFrom('"a"', '*', CHANGED, BEFORE, 'W/"a"'))
  const headers = fc.record({ 'if-match': text, 'if-none-match': text, 'if-modified-since': text, 'if-unmodified-since': text },
    { requiredKeys: [] })
  fc.assert(fc.property(headers, fc.array(text), text, (conditions, values, ifRange) => {
    const fields = values.flatMap((value, at) => [['etag', 'last-modified', 'date'][at % 3] as string, value])
    return [200, 304, 412].includes(outcome(conditions, fields)) && typeof isRangeOf(ifRange, { fields, at: AT }) === 'boolean'
  }), { numRuns: sized(10_000) })
  t.pass('for every request that was tried')
})
