// Taking turns: what slows the machine for a while slows all of them.

/** Has each of `all` do its part `rounds` times. Another one begins each round: none is always the first after a pause. */
export async function takeTurns<T> (all: readonly T[], rounds: number, part: (one: T, round: number) => Promise<unknown>): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < all.length; turn++) await part(all[(turn + round) % all.length]!, round)
  }
}
