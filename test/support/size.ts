// How large random and large cases are: whole where `FULL=1` asks for that, as continuous integration does, else a tenth.

const isFull = process.env.FULL === '1'

/** `count` of something, or a tenth of it. */
export function sized (count: number): number {
  return isFull ? count : Math.ceil(count / 10)
}

let turn = 0

/** All of several kinds of one thing, or one of them: the next with each call, so that half of the tests of a file run on the one and half on the other. */
export function inTurn<T> (kinds: readonly T[]): readonly T[] {
  return isFull ? kinds : kinds.slice(turn % kinds.length, (turn++ % kinds.length) + 1)
}
