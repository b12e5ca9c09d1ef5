// Guesses what an unknown option was probably meant to be.

/** Advice for names that are not options, by the name in lower case: what the option is called here, or where it belongs. */
export type Advice = Readonly<Record<string, string>>

// The most letters in which a typing error may differ from a known name.
const MOST_TYPOS = 2

/** Returns `; did you mean ...?` for an unknown name, or '' if no known name is similar. */
export function intention (name: string, known: readonly string[], advice: Advice = {}): string {
  const given = Object.hasOwn(advice, name.toLowerCase()) ? advice[name.toLowerCase()] : undefined
  if (given !== undefined) return `; ${given}`
  const [closest] = known.map((one) => [one, distance(name.toLowerCase(), one.toLowerCase())] as const).sort(([, a], [, b]) => a - b)
  return closest !== undefined && closest[1] <= Math.min(MOST_TYPOS, name.length / 3) ? `; did you mean ${closest[0]}?` : ''
}

// Names of options whose values must not be shown.
const SECRET = /pass|pwd|secret|token|auth|credential|cookie|url|uri|dsn|connect|key/i

/** Returns whether the value of an option with this name may be shown in an error message. */
export function isShown (name: string): boolean {
  return !SECRET.test(name) && ['password', 'token', 'secret'].every((secret) => distance(name.toLowerCase(), secret) > MOST_TYPOS)
}

/** Returns the least number of letters that have to be inserted, removed, replaced or swapped with the next one. */
function distance (a: string, b: string): number {
  let [before, last] = [[] as number[], Array.from({ length: b.length + 1 }, (_, at) => at)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row[j] = Math.min(
        last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1), isSwapped ? before[j - 2]! + 1 : Infinity)
    }
    before = last
    last = row
  }
  return last[b.length]!
}
