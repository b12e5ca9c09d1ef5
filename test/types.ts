// What must and must not compile; checked by `npm run types`, never run.
import { builtIns } from '../backends/index.js'
import {
  rfc9111, type Duration, type GetOrSetOptions, type ReplyCacheOptions, type ResponseCacheOptions, type RouteCacheOptions
} from '../plugin.js'
import { isDuration } from '../registry/check.js'
import { fromStringStore } from '../registry/string-store.js'
import { defineBackend, type BackendDefinition, type Registry } from '../registry/registry.js'
import type { BackendChoice, BackendName, BackendOptions } from '../registry/names.js'
import type { CacheBackend, Power, StoredEntry } from '../registry/backend.js'
import type { ConformanceCase } from './kit/index.js'

interface DynamoOptions { table: string, region?: string }
interface LocalOptions { folder?: string }

// As another package does it, by the package's name.
declare module '../registry/names.js' {
  interface BackendOptions {
    'types-dynamo': DynamoOptions
    'types-local': LocalOptions
  }
}

declare const dynamo: BackendDefinition<DynamoOptions>
declare const local: BackendDefinition<LocalOptions>
declare const demanding: BackendDefinition<{ folder: string }>
declare const registry: Registry
declare const backend: CacheBackend
declare const entry: StoredEntry
const take = (..._values: unknown[]): void => {}

// A choice: each name with its own options, or only the name if every option has a default.
take([
  { backend: 'memory' },
  { backend: 'memory', options: { maxBytes: 5 } },
  { backend: 'sqlite' },
  { backend: 'sqlite', options: { path: ':memory:' } },
  { backend: 'http', options: { baseUrl: 'http://localhost:4000', timeout: '1s' } },
  { backend: 'types-local' },
  { backend: 'types-dynamo', options: { table: 'a' } }
] satisfies BackendChoice[])

take([
  // @ts-expect-error an unknown name
  { backend: 'types-unknown' },
  // @ts-expect-error an option of another backend
  { backend: 'memory', options: { path: 'a.db' } },
  // @ts-expect-error an option of the wrong type
  { backend: 'memory', options: { maxBytes: '64mb' } },
  // @ts-expect-error an option of a built-in backend that is required
  { backend: 'http' },
  // @ts-expect-error required options are missing
  { backend: 'types-dynamo' },
  // @ts-expect-error a required option that is missing
  { backend: 'types-dynamo', options: { region: 'a' } },
  // @ts-expect-error no backend
  { options: {} }
] satisfies BackendChoice[])

take('memory' satisfies BackendName, 'types-dynamo' satisfies BackendName, { table: 'a' } satisfies BackendOptions['types-dynamo'])

// A registry accepts a definition for the name whose options it has, synchronously or asynchronously.
registry.add('types-dynamo', () => dynamo).add('types-local', async () => local)
// @ts-expect-error another backend's definition
registry.add('memory', () => dynamo)
// @ts-expect-error another backend's definition, asynchronously
registry.add('types-local', async () => dynamo)
// @ts-expect-error a definition that requires an option that may be absent under this name
registry.add('types-local', () => demanding)
// @ts-expect-error a name without declared options
registry.add('types-unknown', () => dynamo)
// @ts-expect-error a definition instead of a function that returns one
registry.add('types-dynamo', dynamo)
// @ts-expect-error a module instead of its definition
registry.add('types-dynamo', async () => ({ default: dynamo }))

take(builtIns().open({ backend: 'memory' }), builtIns().open({ backend: 'memory' }, { now: () => 5 }))
// @ts-expect-error a choice is checked when it is opened
take(builtIns().open({ backend: 'memory', options: { path: 'a.db' } }))

// A definition knows its options and its context.
defineBackend<DynamoOptions>({
  name: 'types-dynamo',
  create ({ table, region = 'a' }, { now, log, signal, background, open }) {
    take(table.length, region.length, now().toFixed(), log.warn, signal.aborted, background.every, open)
    return { get: () => undefined, set () {}, async delete () {}, async close () {} }
  }
})
defineBackend<DynamoOptions>({
  name: 'types-dynamo',
  // @ts-expect-error a backend without delete
  create: () => ({ get: () => undefined, set () {}, close () {} })
})
defineBackend<DynamoOptions>({
  name: 'types-dynamo',
  // @ts-expect-error a get that returns text
  create: () => ({ get: () => 'text', set () {}, delete () {}, close () {} })
})

// An entry is not changed after it was passed to a backend.
// @ts-expect-error read-only
entry.expiresAt = 5
// @ts-expect-error read-only
entry.value = Buffer.alloc(0)

// An optional method may be absent.
// @ts-expect-error it may be undefined
take(backend.has('key'))
take(backend.has?.('key'), 'getMany' satisfies Power)
// @ts-expect-error a required method is not optional
take('get' satisfies Power)

// The guide's contract, synchronous or asynchronous, with null or undefined for a missing entry.
take(
  fromStringStore({ get: () => null, set () {}, delete () {}, close () {} }),
  fromStringStore({ get: async () => undefined, set: async () => true, delete: async () => 1, async close () {} }),
  fromStringStore(
    new class { get () { return 'text' } set (_key: string, _value: string, _timeoutSeconds: number) {} delete () {} close () {} }())
)
// @ts-expect-error bytes instead of text
take(fromStringStore({ get: () => Buffer.alloc(0), set () {}, delete () {}, close () {} }))

take({ name: 'a case', run: async () => 'passed' } satisfies ConformanceCase)

// The preset is route options, and can't be changed.
take(rfc9111 satisfies RouteCacheOptions, { ...rfc9111, ttl: '1m' } satisfies RouteCacheOptions)
// @ts-expect-error read-only
rfc9111.heuristic = false

// Tags may be read-only, also those that a function returns.
const TAGS = ['a', 'b'] as const
take({ tags: TAGS } satisfies RouteCacheOptions, { tags: () => TAGS } satisfies RouteCacheOptions)

take({
  credentials: 'shared',
  invalidates: false,
  safe: true,
  when: (request, reply, payload) => reply.statusCode === 200 && payload !== request.id
} satisfies RouteCacheOptions)
// @ts-expect-error a promise is not a decision
take({ when: async () => true } satisfies RouteCacheOptions)

// A duration is a number of seconds, or a number with a unit that is known.
declare const text: string
take([0, 60, 1.5, '250ms', '90s', '5m', '2h', '1.5h', '1d'] satisfies Duration[], isDuration(text) && text satisfies Duration)
take([
  // @ts-expect-error a word for the unit
  '1 minute',
  // @ts-expect-error an unknown unit
  '1w',
  // @ts-expect-error no unit
  '60',
  // @ts-expect-error no number
  'm',
  // @ts-expect-error nothing
  '',
  // @ts-expect-error any text
  text
] satisfies Duration[])

// So is each option that is a duration.
take([
  { backend: 'sqlite', options: { cleanupInterval: '1m' }, deadline: '1s', lockTimeout: 5, defaults: { ttl: '1m', keep: 0 } },
  { backend: 'file', options: { cleanupInterval: '1m' } },
  { backend: 'http', options: { baseUrl: 'http://localhost:4000', timeout: '1m' } },
  { backend: 'tiered', options: { tiers: [{ backend: 'memory' }, { backend: 'file' }], nearTtl: '1m', deadline: '1m' } },
  { backend: 'keyv', options: { timeout: '1m', cleanupInterval: '1m' } },
  { backend: 'unstorage', options: { timeout: '1m', cleanupInterval: '1m' } },
  { backend: 'memcached', options: { timeout: '1m' } },
  // @ts-expect-error deadline
  { deadline: '1 minute' },
  // @ts-expect-error lockTimeout
  { lockTimeout: '1 minute' },
  // @ts-expect-error a default
  { defaults: { ttl: '1 minute' } },
  // @ts-expect-error an option of file
  { backend: 'file', options: { cleanupInterval: '1 minute' } },
  // @ts-expect-error an option of sqlite
  { backend: 'sqlite', options: { cleanupInterval: '1 minute' } },
  // @ts-expect-error an option of http
  { backend: 'http', options: { baseUrl: 'http://localhost:4000', timeout: '1 minute' } },
  // @ts-expect-error an option of tiered
  { backend: 'tiered', options: { tiers: [{ backend: 'memory' }, { backend: 'file' }], nearTtl: '1 minute' } },
  // @ts-expect-error an option of keyv
  { backend: 'keyv', options: { timeout: '1 minute' } },
  // @ts-expect-error an option of keyv
  { backend: 'keyv', options: { cleanupInterval: '1 minute' } },
  // @ts-expect-error an option of unstorage
  { backend: 'unstorage', options: { timeout: '1 minute' } },
  // @ts-expect-error an option of unstorage
  { backend: 'unstorage', options: { cleanupInterval: '1 minute' } },
  // @ts-expect-error an option of memcached
  { backend: 'memcached', options: { timeout: '1 minute' } },
  // @ts-expect-error an option of tiered
  { backend: 'tiered', options: { tiers: [{ backend: 'memory' }, { backend: 'file' }], deadline: '1 minute' } }
] satisfies ResponseCacheOptions[])
take([
  { ttl: '1m', staleWhileRevalidate: 5, staleIfError: '1h', keep: '1d' },
  // @ts-expect-error ttl
  { ttl: '1 minute' },
  // @ts-expect-error staleWhileRevalidate
  { staleWhileRevalidate: '1 minute' },
  // @ts-expect-error staleIfError
  { staleIfError: '1 minute' },
  // @ts-expect-error keep
  { keep: '1 minute' }
] satisfies RouteCacheOptions[])
take([
  { ttl: '1m', staleWhileRevalidate: '1h', staleIfError: '1d' },
  // @ts-expect-error ttl
  { ttl: '1 minute' },
  // @ts-expect-error staleWhileRevalidate
  { ttl: '1m', staleWhileRevalidate: '1 minute' },
  // @ts-expect-error staleIfError
  { ttl: '1m', staleIfError: '1 minute' }
] satisfies GetOrSetOptions[])
take([
  { ttl: '1m' },
  // @ts-expect-error ttl
  { ttl: '1 minute' }
] satisfies ReplyCacheOptions[])

// An object in a constant has the text itself as its type if it says so, and any text otherwise.
const asConst = { ttl: '1m' } as const
const satisfied = { ttl: '1m' } satisfies RouteCacheOptions
const widened = { ttl: '1m' }
take(asConst satisfies RouteCacheOptions, satisfied satisfies RouteCacheOptions)
// @ts-expect-error any text
take(widened satisfies RouteCacheOptions)
