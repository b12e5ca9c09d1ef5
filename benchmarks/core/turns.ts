// Lets contenders take turns, so that a slow machine slows all of them.

/** Runs `part` for each of `all`, in `rounds` rounds. Each round begins with a different one, so that none is always first. */
export async function takeTurns<T> (all: readonly T[], rounds: number, part: (one: T, round: number) => Promise<unknown>): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < all.length; turn++) await part(all[(turn + round) % all.length]!, round)
  }
}
