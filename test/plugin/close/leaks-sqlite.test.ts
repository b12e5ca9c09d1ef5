// What is left behind by many of the same, on SQLite: nothing.
import { join } from 'node:path'
import t from 'tap'
import { CASES, leavesNothing } from '../../support/leaks.js'
import { someOf } from '../../support/size.js'

await leavesNothing(t, (t) => ({ backend: 'sqlite', options: { path: join(t.testdir({}), 'cache.db') } }), someOf(CASES))
