// The guide's store, in a Map: text under a key for whole seconds.
import type { StringStore } from '../../registry/string-store.js'

export interface StringMap extends StringStore {
  /** The texts, each with the instant at which the store drops it. */
  readonly texts: Map<string, { text: string, until: number }>
}

/** `later`: every result is a promise. */
export function stringMap (now: () => number, { later = false } = {}): StringMap {
  const texts: StringMap['texts'] = new Map()
  const result = <T> (value: T) => later ? Promise.resolve(value) : value
  return {
    texts,
    get (key) {
      const held = texts.get(key)
      return result(held !== undefined && held.until > now() ? held.text : null)
    },
    set (key, text, timeoutSeconds) {
      if (!Number.isSafeInteger(timeoutSeconds) || timeoutSeconds <= 0) throw new TypeError(`bad timeout ${timeoutSeconds}`)
      texts.set(key, { text, until: now() + timeoutSeconds * 1_000 })
      return result(undefined)
    },
    delete (key) { return result(texts.delete(key)) },
    close () { return result(texts.clear()) }
  }
}
