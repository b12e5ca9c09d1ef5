// ETags that the cache makes: one for each body.
import t from 'tap'
import { etagOf } from '../../response/http/validators.js'

t.test('an ETag is a strong entity tag, the same for the same bytes and another for others', async (t) => {
  const tags = Array.from({ length: 10_000 }, (_, at) => etagOf(String(at)))
  t.equal(new Set(tags).size, tags.length)
  t.equal(etagOf(Buffer.from('é')), etagOf('é'))
  for (const tag of [etagOf(''), ...tags.slice(0, 10)]) t.match(tag, /^"[\w-]{27}"$/)
})
