// A process that caches in SQLite ends by itself once it is closed, whatever the backend does.
import { join } from 'node:path'
import t from 'tap'
import { CASES, endsByItself } from '../../support/closing.js'
import { someOf } from '../../support/size.js'

await endsByItself(t, (t) => ({ backend: 'sqlite', options: { path: join(t.testdir({}), 'cache.db') } }), someOf(CASES))
