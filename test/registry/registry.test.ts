// The registry: names, loaders, the contract, and the context that a backend receives.
import t from 'tap'
import { builtIns } from '../../backends/index.js'
import { POWERS, powersOf } from '../../registry/backend.js'
import { defineBackend, Registry, type BackendContext, type BackendDefinition } from '../../registry/registry.js'
import { testClock } from '../support/clock.js'
import { mapBackend } from '../support/map-backend.js'
import type { BackendChoice, BackendName } from '../../registry/names.js'

/** For names that the types don't know, as in JavaScript or in a configuration file. */
const named = (name: unknown) => name as BackendName
const choiceOf = (backend: unknown, options?: unknown) => ({ backend, options }) as unknown as BackendChoice

function definitionOf (passed: Array<{ options: unknown, context: BackendContext }> = []): BackendDefinition {
  return defineBackend({
    name: 'dynamo',
    create (options, context) {
      passed.push({ options, context })
      return mapBackend(context.now)
    }
  })
}

t.test('registry: the built-in backends are known, and registries are independent', async (t) => {
  const one = builtIns()
  t.same(one.names(), ['memory', 'file', 'sqlite', 'redis', 'http', 'tiered', 'keyv', 'memcached', 'unstorage'])
  one.add(named('dynamo'), () => definitionOf())
  t.ok(one.names().includes('dynamo'))
  t.notOk(builtIns().names().includes('dynamo'))
})

t.test('registry: an unknown name is refused, listing the known ones', async (t) => {
  const registry = new Registry().add(named('one'), () => definitionOf()).add(named('two'), () => definitionOf())
  for (const name of ['three', 'constructor', '__proto__', 'toString', '', 'ONE', undefined, null, 5, {}]) {
    await t.rejects(registry.open(choiceOf(name)),
      { code: 'CACHE_ERR_BACKEND_UNKNOWN', message: /known are one, two\. Add yours with registry\.add/ }, String(name))
  }
  await t.rejects(registry.open(choiceOf('three')), { message: /under the name 'three'/ })
})

t.test('registry: a name that is already registered is refused', async (t) => {
  const registry = builtIns()
  t.throws(() => registry.add('memory', () => definitionOf()), { code: 'CACHE_ERR_BACKEND_DUPLICATE', message: /'memory' already/ })
  t.equal(registry.names().filter((name) => name === 'memory').length, 1)
})

t.test('registry: a name that is not text and a loader that is not a function are refused', async (t) => {
  for (const name of ['', 5, undefined, null, Symbol('dynamo')]) {
    t.throws(() => new Registry().add(named(name), () => definitionOf()), { code: 'CACHE_ERR_OPTION' })
  }
  for (const load of [undefined, definitionOf(), 'cache-dynamo']) {
    t.throws(() => new Registry().add(named('dynamo'), load as never), {
      code: 'CACHE_ERR_OPTION', message: /registry\.add\('dynamo', load\)' must be a function/
    })
  }
})

t.test('registry: any text is a valid name, even a name that every object has', async (t) => {
  for (const name of ['__proto__', 'constructor', 'my backend', '鍵']) {
    const registry = new Registry().add(named(name), () => definitionOf())
    t.same(registry.names(), [name])
    t.ok(await registry.open(choiceOf(name)))
  }
})

t.test('registry: a backend is loaded only when it is opened, by a synchronous or asynchronous loader', async (t) => {
  let loads = 0
  const registry = new Registry()
    .add(named('now'), () => { loads++; return definitionOf() })
    .add(named('later'), async () => { loads++; return definitionOf() })
  t.equal(loads, 0)
  for (const name of ['now', 'later']) t.ok(await registry.open(choiceOf(name)))
  t.equal(loads, 2)
})

t.test('registry: open rejects with the error of a loader', async (t) => {
  const failure = new Error('no such module')
  const registry = new Registry().add(named('throws'), () => { throw failure }).add(named('rejects'), async () => { throw failure })
  for (const name of ['throws', 'rejects']) await t.rejects(registry.open(choiceOf(name)), failure)
})

t.test('registry: open rejects with the error that a backend throws when it is created', async (t) => {
  const failure = new Error('no such host')
  const registry = new Registry()
    .add(named('throws'), () => defineBackend({ name: 'throws', create () { throw failure } }))
    .add(named('rejects'), () => defineBackend({ name: 'rejects', create: async () => { throw failure } }))
  for (const name of ['throws', 'rejects']) await t.rejects(registry.open(choiceOf(name)), failure)
})

t.test('registry: a module without a definition is refused, and the error shows what was given', async (t) => {
  for (const came of [undefined, null, {}, { default: definitionOf() }, { create: 5 }, () => definitionOf(), 'dynamo']) {
    const registry = new Registry().add(named('dynamo'), () => came as never)
    await t.rejects(registry.open(choiceOf('dynamo')), {
      code: 'CACHE_ERR_BACKEND_CONTRACT', message: /backend 'dynamo' must have a definition made with defineBackend/
    })
  }
})

t.test('registry: a backend that lacks methods is refused, and the error names them', async (t) => {
  const whole = mapBackend(Date.now)
  const rows: ReadonlyArray<readonly [backend: unknown, missing: string]> = [
    [{ ...whole, get: undefined }, 'get'], [{ ...whole, delete: 5, close: undefined }, 'delete, close'],
    [{}, 'get, set, delete, close'], [undefined, 'get, set, delete, close'], [null, 'get, set, delete, close']
  ]
  for (const [backend, missing] of rows) {
    const registry = new Registry().add(named('dynamo'), () => defineBackend({ name: 'dynamo', create: () => backend as never }))
    await t.rejects(registry.open(choiceOf('dynamo')), {
      code: 'CACHE_ERR_BACKEND_CONTRACT',
      message: `cache: backend 'dynamo' must have the methods get, set, delete, close, got one without ${missing}`
    })
  }
})

t.test('registry: a backend with only one of claim and settle is refused, and the error names it', async (t) => {
  const opened = (backend: unknown) =>
    new Registry().add(named('dynamo'), () => defineBackend({ name: 'dynamo', create: () => backend as never })).open(choiceOf('dynamo'))
  for (const [missing, alone] of [['settle', 'claim'], ['claim', 'settle']] as const) {
    for (const nothing of [undefined, 5, 'a method']) {
      await t.rejects(opened({ ...mapBackend(Date.now), [missing]: nothing }), {
        code: 'CACHE_ERR_BACKEND_CONTRACT',
        message: `cache: backend 'dynamo' must have both of the methods claim and settle, or neither, got one with only ${alone}`
      })
    }
  }
  const { claim, settle, ...neither } = mapBackend(Date.now)
  t.notOk(powersOf(await opened(neither)).includes('claim'))
  t.same(powersOf(await opened({ ...neither, claim, settle })), POWERS)
})

t.test('registry: the methods may be those of a class', async (t) => {
  class Dynamo {
    get () { return undefined }
    set () {}
    delete () {}
    close () {}
  }
  const registry = new Registry().add(named('dynamo'), () => defineBackend({ name: 'dynamo', create: () => new Dynamo() }))
  t.same(powersOf(await registry.open(choiceOf('dynamo'))), [])
})

t.test('registry: a backend has an optional method exactly if that method is a function', async (t) => {
  t.same(powersOf(mapBackend(Date.now)), POWERS)
  t.same(powersOf({ ...mapBackend(Date.now), has: undefined, keys: true } as never), [
    'clear', 'size', 'stats', 'getMany', 'claim', 'settle', 'version'
  ])
})

t.test('registry: options are passed to the backend unchanged, or as an empty object if absent', async (t) => {
  const passed: Array<{ options: unknown, context: BackendContext }> = []
  const registry = new Registry().add(named('dynamo'), () => definitionOf(passed))
  const options = { table: 'a' }
  await registry.open(choiceOf('dynamo', options))
  await registry.open(choiceOf('dynamo'))
  t.equal(passed[0]?.options, options)
  t.same(passed[1]?.options, {})
})

t.test('registry: an invalid option is refused with the name of the backend and of the option', async (t) => {
  const registry = builtIns()
  const rows: ReadonlyArray<readonly [options: unknown, message: RegExp]> = [
    [{ maxBytes: '64mb' }, /^cache: 'memory\.maxBytes' must be a positive integer, got '64mb'/],
    [{ maxEntries: -5 }, /^cache: 'memory\.maxEntries' must be a positive integer, got -5/],
    [{ maxbytes: 5 }, /^cache: 'memory\.maxbytes' must be absent.*known are maxBytes, maxEntries/],
    [null, /^cache: 'memory' must be an object, got null/],
    [[], /^cache: 'memory' must be an object/]
  ]
  for (const [options, message] of rows) await t.rejects(registry.open(choiceOf('memory', options)), { code: 'CACHE_ERR_OPTION', message })
})

t.test('registry: missing parts of the context are filled in', async (t) => {
  const passed: Array<{ options: unknown, context: BackendContext }> = []
  const registry = new Registry().add(named('dynamo'), () => definitionOf(passed))
  await registry.open(choiceOf('dynamo'))
  const context = passed[0]?.context as BackendContext
  t.ok(Math.abs(context.now() - Date.now()) < 60_000)
  t.equal(context.signal.aborted, false)
  for (const level of ['debug', 'info', 'warn', 'error'] as const) t.equal(context.log[level]({}, 'message'), undefined)
  await context.background.every('task', 1_000, () => {}).cancel()
  t.ok(await context.open(choiceOf('dynamo')), 'a backend can open another one by name')
})

t.test('registry: given parts of the context are passed unchanged, also to a backend that another one opens', async (t) => {
  const passed: Array<{ options: unknown, context: BackendContext }> = []
  const registry = new Registry().add(named('dynamo'), () => definitionOf(passed))
  const given = {
    now: testClock().now,
    log: { debug () {}, info () {}, warn () {}, error () {} },
    signal: new AbortController().signal,
    background: { every: () => ({ cancel: async () => {} }) }
  }
  await registry.open(choiceOf('dynamo'), given)
  await passed[0]?.context.open(choiceOf('dynamo'))
  t.equal(passed.length, 2)
  for (const { context } of passed) {
    for (const part of ['now', 'log', 'signal', 'background'] as const) t.equal(context[part], given[part], part)
  }
  const open = async () => mapBackend(given.now)
  await registry.open(choiceOf('dynamo'), { ...given, open })
  t.equal(passed[2]?.context.open, open)
})
