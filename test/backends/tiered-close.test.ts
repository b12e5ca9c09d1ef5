// Processes that cache in tiers end by themselves, whether they close the cache or not.
import { join } from 'node:path'
import t from 'tap'
import { CASES, endsByItself } from '../support/closing.js'
import { startServer } from '../support/redis-server.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'redis-server')

const ENDS = CASES.filter(([name]) => name.startsWith('ends '))

t.test('tiered: memory before SQLite', async (t) => {
  await endsByItself(t, (t) => ({
    backend: 'tiered',
    options: { tiers: [{ backend: 'memory' }, { backend: 'sqlite', options: { path: join(t.testdir({}), 'cache.db') } }] }
  }), ENDS)
})

t.test('tiered: files before Redis', async (t) => {
  const { url } = await startServer(t)
  await endsByItself(t, (t) => ({
    backend: 'tiered',
    options: { tiers: [{ backend: 'file', options: { dir: join(t.testdir({}), 'cache') } }, { backend: 'redis', options: { url } }] }
  }), ENDS)
})
