// Random text. Much of it is made at once, because each call for random bytes takes microseconds.
import { randomBytes } from 'node:crypto'

const BYTES_AT_ONCE = 3_072

/** Returns a function that returns another random text with each call, of so many characters: letters, digits, `-` and `_`. */
export function randomTexts (characters: number): () => string {
  let text = ''
  let at = 0
  return () => {
    if (at + characters > text.length) {
      text = randomBytes(BYTES_AT_ONCE).toString('base64url')
      at = 0
    }
    at += characters
    return text.slice(at - characters, at)
  }
}
