// How large random and large cases are: whole where `FULL=1` asks for that, as continuous integration does, else a tenth.

const isFull = process.env.FULL === '1'

/** `count` of something, or a tenth of it. */
export function sized (count: number): number {
  return isFull ? count : Math.ceil(count / 10)
}
