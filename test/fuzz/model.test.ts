// The rules of the fuzzer themselves: each finds what it is there for, and a good response breaks none.
import t from 'tap'
import type { Received } from './http1.js'
import { judge } from './model.js'
import type { Asked, Plan } from './plan.js'
import { World, type Run, type Sent } from './world.js'

const ASKED: Asked = { route: 'doc', id: 1, host: 'a.example', payload: 'text' }
const PLAN: Plan = {
  protocol: 'http1',
  profile: { staleWhileRevalidate: 5, staleIfError: 0, keep: 0, etag: false, lock: true },
  hooks: [],
  first: true,
  stage: 'onRequest',
  trustsProxy: false,
  actions: [],
  endsHeld: false
}
const BYTES = Buffer.from('0123456789')
const HIT = 'fastify-response-cache; hit; ttl=5'

interface Scene { readonly world: World, readonly run: Run, readonly sent: Sent }

/** What the rules say of a hit on what a handler made for `first`, given to `second`; `change` makes it wrong. */
function said (
  change: (received: Received & { fields: Record<string, string> }, scene: Scene) => object, second: Partial<Asked> = {},
  first: Partial<Asked> = {}
): string {
  const world = new World(PLAN, new Set())
  const run = world.begin(world.send({ ...ASKED, ...first }), false)
  Object.assign(run, { bytes: BYTES, etag: '"one"' })
  world.finish(run)
  const sent = world.send({ ...ASKED, ...second })
  const fields = { 'x-echo': sent.id, 'x-run': run.id, 'cache-status': HIT, age: '0', etag: '"one"', 'content-length': '10' }
  const received = { status: 200, fields, body: BYTES, trailers: {}, isWhole: true }
  judge(world, sent, { ...received, ...change(received, { world, run, sent }) })
  return [...new Set(world.wrong.map((how) => how.slice(0, how.indexOf(':'))))].join(' ')
}

const part = (range: string, body: string) => ({ fields }: Received): object => ({
  status: 206, body: Buffer.from(body), fields: { ...fields, 'content-range': range }
})

t.test('a response that is as it should be breaks no rule', async (t) => {
  t.equal(said(() => ({})), '')
  t.equal(said(part('bytes 2-3/10', '23'), { range: 'bytes=0-9' }), '')
  t.equal(said(() => ({ body: Buffer.alloc(0) }), { method: 'HEAD' }), '')
})

const WRONG: ReadonlyArray<readonly [rule: string, how: string, ...Parameters<typeof said>]> = [
  ['echo', 'the fields of another request', ({ fields }) => ({ fields: { ...fields, 'x-echo': 'q9' } })],
  ['run', 'what no handler made', ({ fields }) => ({ fields: { ...fields, 'x-run': 'r9' } })],
  ['whole', 'it has no end', () => ({ isWhole: false })],
  ['status', 'another status than the handler made', () => ({ status: 404 })],
  ['identity', 'another host', () => ({}), { host: 'b.example' }],
  ['identity', 'another target', () => ({}), { query: '?page=1' }],
  ['own', 'a request with credentials that bypasses the cache',
    ({ fields }) => ({ fields: { ...fields, 'cache-status': 'x; fwd=bypass; detail=credentials' } }), { auth: 'alice' }],
  ['personal', "another user's response", () => ({}), {}, { auth: 'alice' }],
  ['shared', 'what was private', (_received, { run }) => { run.isUnshared = true; return {} }],
  ['broken', 'what broke off', (_received, { run }) => { run.isBroken = true; return {} }],
  ['bytes', 'other bytes', () => ({ body: Buffer.from('012345678X') })],
  ['bytes', 'a HEAD with content', () => ({}), { method: 'HEAD' }],
  ['type', 'another type', ({ fields }) => ({ fields: { ...fields, 'content-type': 'text/html' } })],
  ['fresh', 'a request directive that was not looked at', () => ({}), { directive: 'no-cache' }],
  ['fresh', 'a stored response that passes for a new one', ({ fields }) => ({ fields: { ...fields, 'cache-status': 'x; fwd=miss' } })],
  ['range', 'a part that nobody asked for', part('bytes 2-3/10', '23')],
  ['range', 'another part than it says', part('bytes 2-3/10', '34'), { range: 'bytes=0-9' }],
  ['range', 'a part of another whole', part('bytes 2-3/11', '23'), { range: 'bytes=0-9' }],
  ['condition', 'a 304 of another tag than the client named', () => ({ status: 304, body: Buffer.alloc(0) }), { ifNoneMatch: 'other' }],
  ['condition', 'a 412 that no condition asked for', () => ({ status: 412, body: Buffer.alloc(0) })],
  ['condition', 'a 412 with content', () => ({ status: 412 }), { ifMatch: 'other' }]
]

for (const [rule, how, ...scene] of WRONG) t.test(`found by the rule ${rule}: ${how}`, async (t) => { t.match(said(...scene), rule) })

t.test('found: what is older than an invalidation, than its lifetime, than what ended it', async (t) => {
  const world = new World(PLAN, new Set())
  const run = world.begin(world.send(ASKED), false)
  Object.assign(run, { bytes: BYTES, etag: '"one"' })
  world.finish(run)
  const ask = (ttl: number): string => {
    const sent = world.send(ASKED)
    world.wrong.splice(0)
    judge(world, sent, {
      status: 200,
      fields: { 'x-echo': sent.id, 'x-run': run.id, age: '99', 'cache-status': `x; hit; ttl=${ttl}` },
      body: BYTES,
      trailers: {},
      isWhole: true
    })
    return world.wrong.map((how) => how.slice(0, how.indexOf(':'))).join(' ')
  }
  t.equal(ask(5), '')
  await world.clock.pass(10_000)
  t.equal(ask(0), '')
  await world.clock.pass(1)
  t.equal(ask(0), 'fresh', 'beyond its lifetime')
  t.equal(ask(-1), '', 'within the window')
  await world.clock.pass(5_000)
  t.equal(ask(-6), 'fresh', 'beyond the window')
  const end = world.begin(world.send(ASKED), true)
  end.status = 404
  world.finish(end)
  t.equal(ask(-6), 'fresh ended')
  world.acknowledge(world.change(() => true))
  t.equal(ask(-6), 'version fresh ended')
})
