// Doing the same thing many times leaves nothing behind, on SQLite.
import { join } from 'node:path'
import t from 'tap'
import { CASES, leavesNothing } from '../../support/leaks.js'
import { someOf } from '../../support/size.js'

await leavesNothing(t, (t) => ({ backend: 'sqlite', options: { path: join(t.testdir({}), 'cache.db') } }), someOf(CASES))
