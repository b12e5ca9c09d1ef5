// The Redis backend runs the kit's cases that need levers, on a server that is stopped and killed.
import t from 'tap'
import { coordination } from '../kit/index.js'
import { conforms } from '../support/conformance.js'
import { farRedisSubject, redisSubject, remoteCases, slowCases } from '../support/levers.js'
import { serverPrograms } from '../support/redis-server.js'

t.setTimeout(300_000)

const skip = serverPrograms().includes('redis-server') ? false : 'there is no redis-server installed'

t.test('redis survives a server that hangs, is killed, or holds garbage', { skip }, async (t) => {
  await conforms(t, await redisSubject(t), [...remoteCases, ...coordination])
})

t.test('redis survives a server that is far away', { skip }, async (t) => {
  await conforms(t, await farRedisSubject(t), slowCases)
})
