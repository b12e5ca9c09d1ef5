// Reads the backend's keys for people: which route or tag, and which request target, a key in a log line belongs to.

/** A key as log lines show it. `route` is absent unless the key is that of a response. */
export interface ReadableKey {
  readonly key: string
  readonly route?: string
}

/** The parts of a key that `key.ts` and `tags.ts` write: a text after its length, or a digest after `~`. */
const PART = /^(\d+):/
const RESPONSE = /^r (\S+) /
const DIGEST = /^~[\w-]{43}~?/

/**
 * Returns a key in a readable form: `GET /products/:id: /products/1?..., http://localhost`, `tag products`. Queries and whatever else is a
 * digest in the key are shown as `...`. A key that this cache did not write is returned as it is.
 */
export function readableKey (key: string): ReadableKey {
  const [, afterNamespace] = partOf(key)
  if (afterNamespace === undefined) return { key }
  const method = RESPONSE.exec(afterNamespace)?.[1]
  if (method === undefined) {
    const [tag] = partOf(afterNamespace.replace(/^\w+ /, ''))
    return { key: afterNamespace.startsWith('d ') ? 'a value of the application' : tag === undefined ? key : `tag ${tag}` }
  }
  const [pattern, afterPattern = ''] = partOf(afterNamespace.slice(`r ${method} `.length))
  const route = `${method} ${pattern}`
  const [target, afterTarget = ''] = partOf(afterPattern.slice(1))
  const [, query, afterQuery] = /^(\?[\w-]{43}~?)?(.*)$/s.exec(afterTarget) as unknown as [string, string | undefined, string]
  const [origin, rest = ''] = partOf(afterQuery.slice(1))
  const located = `${target ?? '...'}${query === undefined ? '' : '?...'}${origin === undefined ? '' : `, ${origin}`}`
  return { key: `${route}: ${located}${rest === '' ? '' : ' ...'}`, route }
}

/** Returns the first part of a text, and the text after it. Both are undefined if the text does not begin with a part. */
function partOf (text: string): [part: string | undefined, rest: string | undefined] {
  const digest = DIGEST.exec(text)?.[0]
  if (digest !== undefined) return ['...', text.slice(digest.length)]
  const [prefix, length] = PART.exec(text) ?? []
  if (prefix === undefined) return [undefined, undefined]
  const from = prefix.length
  return [text.slice(from, from + Number(length)), text.slice(from + Number(length))]
}
