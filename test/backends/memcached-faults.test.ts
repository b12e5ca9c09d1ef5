// The Memcached backend runs the kit's cases that need levers, on a server that is stopped, killed, emptied, full or far away.
import t from 'tap'
import { conforms } from '../support/conformance.js'
import { remoteCases, slowCases } from '../support/levers.js'
import { farMemcachedSubject, memcachedSubject } from '../support/memcached-levers.js'
import { fileNeeds } from '../support/programs.js'

fileNeeds(t, 'memcached')

t.setTimeout(300_000)

t.test('memcached survives a server that hangs, is killed, loses its entries, or is full', async (t) => {
  await conforms(t, await memcachedSubject(t), remoteCases)
})

t.test('memcached survives a server that is far away', async (t) => {
  await conforms(t, await farMemcachedSubject(t), slowCases)
})
