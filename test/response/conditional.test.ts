// Validators, and a client's conditions: what each one makes of a stored response, and which takes precedence.
import fc from 'fast-check'
import t from 'tap'
import { canBeValidated, isConditional, isRangeOf, precondition, validatorsOf } from '../../response/http/conditional.js'
import { sized } from '../support/size.js'

const AT = Date.UTC(2031, 4, 6, 7, 8, 9)
const [BEFORE, CHANGED, AFTER] = ['Tue, 06 May 2031 06:00:00 GMT', 'Tue, 06 May 2031 07:00:00 GMT', 'Tue, 06 May 2031 07:05:00 GMT']
const STRONG = ['etag', '"a"', 'last-modified', CHANGED, 'date', AFTER]
const WEAK = ['etag', 'W/"a"']
const outcome = (headers: Record<string, string>, fields: readonly string[] = STRONG): number => precondition(headers, { fields, at: AT })

t.test('RFC 9110 section 8.8.3: an entity tag is quoted text, weak or not; anything else is not a validator', async (t) => {
  for (const etag of ['"a"', '""', 'W/"a"', '"\xfc"', '"a,b"', '"W/"']) t.equal(validatorsOf(['etag', etag], AT).etag, etag)
  for (const etag of ['a', '"a', 'w/"a"', 'W\\"a"', 'W"a"', '"a b"', '"a"b"', '', ' "a"', '"\x7f"', '"a", "b"']) {
    t.equal(validatorsOf(['etag', etag], AT).etag, undefined, JSON.stringify(etag))
    t.notOk(canBeValidated(validatorsOf(['x', 'y', 'etag', etag], AT)))
  }
})

t.test('RFC 9110 section 8.8.2: a Last-Modified must be a valid date, and is passed on as it was written', async (t) => {
  t.same(validatorsOf(['last-modified', CHANGED], AT), { etag: undefined, lastModified: CHANGED, lastModifiedAt: Date.UTC(2031, 4, 6, 7) })
  t.notOk(canBeValidated(validatorsOf(['last-modified', 'yesterday'], AT)))
  t.ok(canBeValidated(validatorsOf(['last-modified', CHANGED], AT)))
})

t.test('RFC 9110 section 13.1.2: If-None-Match is false for a tag that is weakly the same, and for `*`', async (t) => {
  for (const field of ['"a"', 'W/"a"', '"x", "a"', 'W/"x" , W/"a", "y"', '*']) {
    t.equal(outcome({ 'if-none-match': field }), 304, field)
    t.equal(outcome({ 'if-none-match': field }, WEAK), 304, `${field}, weak`)
  }
  for (const field of ['"b"', '"A"', 'a', '"a" "b"', '', 'w/"a"']) t.equal(outcome({ 'if-none-match': field }), 200, field)
  t.equal(outcome({ 'if-none-match': '"a"' }, []), 200, 'a response without a tag matches none')
  t.equal(outcome({ 'if-none-match': 'a' }, ['etag', 'a']), 200, 'an invalid tag never matches')
})

t.test('RFC 9110 section 13.1.3: If-Modified-Since is false from Last-Modified on', async (t) => {
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

t.test('RFC 9110 section 13.1.1: If-Match compares strongly, and `*` matches any', async (t) => {
  for (const field of ['"a"', '"x", "a"', '*']) t.equal(outcome({ 'if-match': field }), 200, field)
  for (const field of ['"b"', 'W/"a"', 'a', '']) t.equal(outcome({ 'if-match': field }), 412, field)
  t.equal(outcome({ 'if-match': 'W/"a"' }, WEAK), 412, 'a weak tag never matches strongly')
})

t.test('RFC 9110 section 13.1.4: If-Unmodified-Since is false before Last-Modified', async (t) => {
  t.equal(outcome({ 'if-unmodified-since': BEFORE }), 412)
  t.equal(outcome({ 'if-unmodified-since': CHANGED }), 200)
  t.equal(outcome({ 'if-unmodified-since': 'garbage' }), 200)
  t.equal(outcome({ 'if-unmodified-since': BEFORE }, WEAK), 200, 'there is no date to compare with')
})

t.test('RFC 9110 section 13.2.2: a tag takes precedence over a date, and If-Match over If-None-Match', async (t) => {
  t.equal(outcome({ 'if-match': '"a"', 'if-unmodified-since': BEFORE }), 200)
  t.equal(outcome({ 'if-none-match': '"a"', 'if-modified-since': BEFORE }), 304)
  t.equal(outcome({ 'if-none-match': '"b"', 'if-modified-since': AFTER }), 200)
  t.equal(outcome({ 'if-match': '"b"', 'if-none-match': '"a"' }), 412)
  t.equal(outcome({ 'if-match': '"a"', 'if-none-match': '"a"' }), 304)
  t.equal(outcome({ 'if-unmodified-since': BEFORE, 'if-modified-since': AFTER }), 412)
})

t.test(
  'RFC 9110 section 13.1.5: If-Range holds for the same strong tag, or for exactly the same date if that is strong',
  async (t) => {
    const isFor = (field: string | undefined, fields: readonly string[] = STRONG): boolean => isRangeOf(field, { fields, at: AT })
    t.ok(isFor(undefined))
    t.ok(isFor('"a"'))
    t.ok(isFor(CHANGED))
    for (const field of ['"b"', 'W/"a"', 'a', '', AFTER, BEFORE, '"a", "b"', '*', 'Tuesday, 06-May-31 07:00:00 GMT']) {
      t.notOk(isFor(field), field)
    }
    t.notOk(isFor('W/"a"', WEAK))
    t.notOk(isFor(CHANGED, ['last-modified', CHANGED]), 'without Date, the date is not strong')
    t.notOk(isFor(CHANGED, ['last-modified', CHANGED, 'date', CHANGED]), 'the change was in the second of Date')
  })

t.test('each field that makes a request conditional is recognised', async (t) => {
  for (const name of ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'range']) {
    t.ok(isConditional({ [name]: '' }), name)
  }
  t.notOk(isConditional({ 'if-range': '"a"', host: 'x' }), 'If-Range alone is not a condition')
})

t.test('there is an outcome for any request', async (t) => {
  const text = fc.oneof(fc.string(), fc.constantFrom('"a"', '*', CHANGED, BEFORE, 'W/"a"'))
  const headers = fc.record({ 'if-match': text, 'if-none-match': text, 'if-modified-since': text, 'if-unmodified-since': text },
    { requiredKeys: [] })
  fc.assert(fc.property(headers, fc.array(text), text, (conditions, values, ifRange) => {
    const fields = values.flatMap((value, at) => [['etag', 'last-modified', 'date'][at % 3] as string, value])
    return [200, 304, 412].includes(outcome(conditions, fields)) && typeof isRangeOf(ifRange, { fields, at: AT }) === 'boolean'
  }), { numRuns: sized(10_000) })
  t.pass('for every request')
})
