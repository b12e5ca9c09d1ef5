// Entries in the backend: what a lookup need not do again.
import t from 'tap'
import type { StoredEntry } from '../../registry/backend.js'
import { Deadline } from '../../registry/deadline.js'
import { CacheStatus } from '../../response/observe/cache-status.js'
import { ThrottledLog } from '../../response/observe/log.js'
import { Observer } from '../../response/observe/observer.js'
import { kKeys, type Entry, type ResponseHead, type VariantsHead } from '../../response/store/entry.js'
import { BackendGuard } from '../../response/store/backend-guard.js'
import { Store } from '../../response/store/store.js'
import { MAX_VARIANTS } from '../../response/store/variant-lists.js'
import { Tags } from '../../response/store/tags.js'
import { testClock } from '../support/clock.js'
import { mapBackend } from '../support/map-backend.js'
import { fakeFields } from '../support/request.js'

const RULES = { vary: 'exact', ttlMs: undefined, statuses: new Set([200]), targetList: [], tags: [] } as const

t.test('the keys of variants are remembered with their list, even if a backend returns other bytes each time', async (t) => {
  const { now } = testClock()
  const entries = new Map<string, StoredEntry>()
  const backend = mapBackend(now, entries)
  const copies = {
    ...backend,
    get: async (key: string) => { const entry = await backend.get(key); return entry && { ...entry, value: Buffer.from(entry.value) } }
  }
  const observer = new Observer(new CacheStatus(), new ThrottledLog({ debug () {}, info () {}, warn () {}, error () {} }, now))
  const guard = new BackendGuard(copies, { name: 'copies', deadlineMs: 1_000, now, steadyNow: now, observer })
  const store = new Store(guard, { tags: new Tags(guard, '', now), now, observer })
  const asked = (language: string) => fakeFields({ 'accept-language': language })
  const head: ResponseHead = {
    kind: 'response', key: 'k', status: 200, fields: [], storedAt: now(), freshUntil: now() + 60_000, ageMs: 0, text: true
  }
  const find = async (language: string) => await store.find('k', asked(language), RULES, new Deadline(1_000))
  for (const language of ['de', 'en']) {
    await store.storeResponse({
      key: 'k',
      head,
      body: language,
      varyNames: ['accept-language'],
      asked: asked(language),
      spelling: 'exact',
      found: {},
      right: undefined,
      mayStore: () => true
    }, now() + 60_000)
  }
  for (const language of ['de', 'en', 'de', 'fr', 'x'.repeat(300)]) {
    t.equal((await find(language)).entry?.body.toString(), ['de', 'en'].includes(language) ? language : undefined)
  }
  const list = store.codec.decode(Buffer.from(entries.get('k')!.value), 'k') as Entry<VariantsHead>
  t.same([...list.head[kKeys] ?? []].map(([selecting, key]) => [selecting, entries.has(key)]), [['2:de', true], ['2:en', true]])
})

t.test('a key has 32 variants at most: the one that was stored first is removed', async (t) => {
  const { now } = testClock()
  const entries = new Map<string, StoredEntry>()
  const observer = new Observer(new CacheStatus(), new ThrottledLog({ debug () {}, info () {}, warn () {}, error () {} }, now))
  const guard = new BackendGuard(mapBackend(now, entries), { name: 'map', deadlineMs: 1_000, now, steadyNow: now, observer })
  const store = new Store(guard, { tags: new Tags(guard, '', now), now, observer })
  const head: ResponseHead = {
    kind: 'response', key: 'k', status: 200, fields: [], storedAt: now(), freshUntil: now() + 60_000, ageMs: 0, text: true
  }
  for (let at = 0; at < 40; at++) {
    const asked = fakeFields({ 'accept-language': `l${at}` })
    await store.storeResponse({
      key: 'k',
      head,
      body: `l${at}`,
      varyNames: ['accept-language'],
      asked,
      spelling: 'exact',
      found: {},
      right: undefined,
      mayStore: () => true
    }, now() + 60_000)
  }
  t.equal(entries.size, MAX_VARIANTS + 1, 'removed variants are deleted, and the list is an entry too')
  const found = async (language: string): Promise<string | undefined> =>
    (await store.find('k', fakeFields({ 'accept-language': language }), RULES, new Deadline(1_000))).entry?.body.toString()
  t.same([await found('l7'), await found('l8'), await found('l39')], [undefined, 'l8', 'l39'])
})

t.test('an entry from another clock is trusted up to a minute ahead', async (t) => {
  const { now } = testClock()
  const observer = new Observer(new CacheStatus(), new ThrottledLog({ debug () {}, info () {}, warn () {}, error () {} }, now))
  const guard = new BackendGuard(mapBackend(now), { name: 'map', deadlineMs: 1_000, now, steadyNow: now, observer })
  const store = new Store(guard, { tags: new Tags(guard, '', now), now, observer })
  for (const [aheadMs, isBelieved] of [[60_000, true], [60_001, false]] as const) {
    const head: ResponseHead = {
      kind: 'response', key: 'k', status: 200, fields: [], storedAt: now() + aheadMs, freshUntil: now() + 120_000, ageMs: 0, text: true
    }
    t.equal(store.believed({ value: store.codec.encode(head, ''), expiresAt: now() + 120_000 }, 'k') !== undefined, isBelieved,
      String(aheadMs))
  }
})
