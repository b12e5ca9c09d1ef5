// What is left behind by many of the same, on SQLite: nothing.
import { join } from 'node:path'
import t from 'tap'
import { leavesNothing } from '../support/leaks.js'

await leavesNothing(t, (t) => ({ backend: 'sqlite', options: { path: join(t.testdir({}), 'cache.db') } }))
