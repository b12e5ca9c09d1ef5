// How large random and large cases are: whole where `FULL=1` asks for that, as continuous integration does, else a tenth.

/** Whether everything has its whole size. */
export const isFull = process.env.FULL === '1'

/** `count` of something, or a tenth of it. */
export function sized (count: number): number {
  return isFull ? count : Math.ceil(count / 10)
}

let turn = 0

/**
 * All of several kinds of one thing, or one of them: the next with each call, so that half of the tests of a file run on the one and half
 * on the other.
 */
export function inTurn<T> (kinds: readonly T[]): readonly T[] {
  return isFull ? kinds : kinds.slice(turn % kinds.length, (turn++ % kinds.length) + 1)
}

let from = 0

/** All of many cases, or a third: with each call another one, so that several lists have all of them among them. */
export function someOf<T> (cases: readonly T[]): readonly T[] {
  if (isFull) return cases
  const rest = from++ % 3
  return cases.filter((_, at) => at % 3 === rest)
}
