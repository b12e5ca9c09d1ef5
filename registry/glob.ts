// Matches keys against patterns, without regular expressions: `*` stands for any text, `?` for any one character.

/** Returns whether `text` matches `pattern`. At worst, the time that this takes is proportional to the product of both lengths. */
export function matchesGlob (pattern: string, text: string): boolean {
  let at = 0
  let next = 0
  let star = -1
  let resume = 0
  while (at < text.length) {
    if (next < pattern.length && pattern[next] === '*') {
      star = next++
      resume = at
    } else if (next < pattern.length && (pattern[next] === '?' || pattern[next] === text[at])) {
      next++
      at++
    } else if (star >= 0) {
      // Lets the last star match one more character. Earlier stars need not be tried again.
      next = star + 1
      at = ++resume
    } else return false
  }
  while (pattern[next] === '*') next++
  return next === pattern.length
}
