// Parsed options: those of a registration, and those of a route together with the defaults.
import t from 'tap'
import { routePolicy, type RouteCacheOptions } from '../../response/options/route-options.js'
import { checkSettings } from '../../response/options/plugin-options.js'

t.test('each duration of a registration is read', async (t) => {
  t.match(checkSettings({ deadline: '30ms', lockTimeout: '2s' }), { deadlineMs: 30, lockTimeoutMs: 2_000 })
  t.match(checkSettings({}), { deadlineMs: 100, lockTimeoutMs: 5_000, options: {}, defaults: {} })
})

t.test("fields and cookies in a route's key are added to those of the defaults; its other options replace them", async (t) => {
  const common: RouteCacheOptions = { key: { headers: ['X-Tenant', 'x-a'], cookies: ['sid'], query: ['a'], host: false } }
  const { key } = routePolicy('test', { key: { headers: ['x-b', 'x-a'], cookies: ['lang'], query: ['b'] } }, common)
  t.match(key, { headers: ['x-tenant', 'x-a', 'x-b'], cookies: ['sid', 'lang'], query: ['b'], host: false, body: false })
})
