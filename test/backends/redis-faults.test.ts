// The Redis backend through the kit's cases that need levers, on a server that is stopped and killed.
import t from 'tap'
import { conforms } from '../support/conformance.js'
import { remoteCases, redisSubject } from '../support/levers.js'
import { serverPrograms } from '../support/redis-server.js'

const skip = serverPrograms().includes('redis-server') ? false : 'there is no redis-server on this machine'

t.test('A24: redis survives a server that hangs, is killed, or holds garbage', { skip }, async (t) => {
  await conforms(t, await redisSubject(t), remoteCases)
})
