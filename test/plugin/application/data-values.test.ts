// The values of the data cache: what is read is what was set, or setting is refused with what to do.
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { build, forEachBackend } from '../../support/app.js'
import { failureOf } from '../../support/entries.js'

/** Without a cached route, the application would have a warning. */
const routes = (app: FastifyInstance): unknown => app.get('/', { config: { cache: { ttl: '1m' } } }, async () => '')

class Money { readonly amount = 5 }

const REFUSED: Array<[value: unknown, says: RegExp]> = [
  [new Map([['a', 1]]), /got a Map at value$/],
  [{ items: [1, new Map()] }, /store an array of its entries, \[\.\.\.map\], got a Map at value\.items\[1\]/],
  [new Set([1]), /store an array, \[\.\.\.set\], got a Set at value/],
  [5n, /store its text, String\(value\), got a BigInt at value/], [{ a: { b: 5n } }, /got a BigInt at value\.a\.b/],
  [new Money(), /a plain object with what is needed of it, .*got a Money at value/],
  [{ at: new Date() }, /date\.toISOString\(\).*got a Date at value\.at/],
  [{ bytes: Buffer.from('a') }, /toString\('base64'\).*got a Buffer at value\.bytes/], [new Float64Array(2), /got a Float64Array at value/],
  [NaN, /null or a finite number, got NaN at value/], [[Infinity], /got Infinity at value\[0\]/], [[1, undefined], /got undefined at value\[1\]/],
  [{ f () {} }, /got a function at value\.f/], [Symbol('a'), /got a symbol at value/], [undefined, /got undefined at value/],
  [Object.assign(Object.create({ inherited: 1 }), { a: 1 }), /at value$/]
]

const KEPT: unknown[] = [
  null, true, 0, -1.5, '', 'text', [], {}, [[1, { a: null }]], { a: { b: ['c'] } }, Object.assign(Object.create(null), { a: 1 })
]

t.test('data cache: a value that JSON would change is refused, and nothing is stored', async (t) => forEachBackend(t, async (t, on) => {
  const { cache } = await build(t, { ...on, routes })
  for (const [at, [value, says]] of REFUSED.entries()) {
    t.match(await failureOf(() => cache.set(`set ${at}`, value, { ttl: 5 })), { code: 'CACHE_ERR_OPTION', message: says }, String(says))
    t.equal(await cache.get(`set ${at}`), undefined)
    if (value === undefined) continue
    const produced = await Promise.all([1, 2].map(async () => await cache.getOrSet(`produced ${at}`, { ttl: 5 }, () => value)))
    t.ok(Object.is(produced[0], value), 'the caller of getOrSet receives the value')
    t.equal(await cache.get(`produced ${at}`), undefined)
  }
  const circular: Record<string, unknown> = {}
  circular.self = circular
  t.match(await failureOf(() => cache.set('circular', circular, { ttl: 5 })), { code: 'CACHE_ERR_OPTION', message: /got a circular or / })
}))

t.test('data cache: every JSON value is read as it was set, but for undefined properties', async (t) => forEachBackend(t, async (t, on) => {
  const { cache } = await build(t, { ...on, routes })
  for (const [at, value] of KEPT.entries()) {
    await cache.set(`${at}`, value, { ttl: 5 })
    t.same(await cache.get(`${at}`), value)
  }
  await cache.set('partial', { a: 1, b: undefined }, { ttl: 5 })
  t.strictSame(await cache.get('partial'), { a: 1 })
}))
