// A process goes on while somebody in it waits, though what is waited for would let it end.

const LONGEST_MS = 2 ** 31 - 1

/** What `act` returns; until then, and for `longestMs` at most, the process doesn't end by itself. A cleanup's pauses would let it. */
export async function staysAlive<T> (act: () => Promise<T>, longestMs = LONGEST_MS): Promise<T> {
  const alive = setTimeout(() => {}, longestMs)
  try {
    return await act()
  } finally {
    clearTimeout(alive)
  }
}
