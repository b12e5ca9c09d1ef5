// The size of random and large cases: full with `FULL=1`, as in continuous integration, otherwise a tenth.

/** Whether everything has its full size. */
export const isFull = process.env.FULL === '1'

/** `count`, or a tenth of it. */
export function sized (count: number): number {
  return isFull ? count : Math.ceil(count / 10)
}

let turn = 0

/**
 * All kinds of one thing, or one of them, in turn with each call, so that half of the tests of a file run on one and half on the
 * other.
 */
export function inTurn<T> (kinds: readonly T[]): readonly T[] {
  return isFull ? kinds : kinds.slice(turn % kinds.length, (turn++ % kinds.length) + 1)
}

let from = 0

/** All of many cases, or a third of them: a different third with each call, so that several lists cover all. */
export function someOf<T> (cases: readonly T[]): readonly T[] {
  if (isFull) return cases
  const rest = from++ % 3
  return cases.filter((_, at) => at % 3 === rest)
}
