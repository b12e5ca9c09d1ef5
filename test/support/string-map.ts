// A store as the guide writes it, in a Map: text under a key for whole seconds.
import type { StringStore } from '../../registry/string-store.js'

export interface StringMap extends StringStore {
  /** What is held: the text, and the instant at which the store drops it. */
  readonly texts: Map<string, { text: string, until: number }>
}

/** `later`: every answer is a promise. */
export function stringMap (now: () => number, { later = false } = {}): StringMap {
  const texts: StringMap['texts'] = new Map()
  const answer = <T> (value: T) => later ? Promise.resolve(value) : value
  return {
    texts,
    get (key) {
      const held = texts.get(key)
      return answer(held !== undefined && held.until > now() ? held.text : null)
    },
    set (key, text, timeoutSeconds) {
      if (!Number.isSafeInteger(timeoutSeconds) || timeoutSeconds <= 0) throw new TypeError(`bad timeout ${timeoutSeconds}`)
      texts.set(key, { text, until: now() + timeoutSeconds * 1_000 })
      return answer(undefined)
    },
    delete (key) { return answer(texts.delete(key)) },
    close () { return answer(texts.clear()) }
  }
}
