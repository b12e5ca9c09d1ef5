// A process that caches in memory ends by itself once it is closed, whatever the backend does.
import t from 'tap'
import { endsByItself } from '../../support/closing.js'

await endsByItself(t, () => ({ backend: 'memory' }))
