// Closing a process that caches in memory: it ends by itself, whatever the backend does.
import t from 'tap'
import { endsByItself } from '../../support/closing.js'

await endsByItself(t, () => ({ backend: 'memory' }))
