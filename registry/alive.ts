// Keeps the process alive during work that would not do so itself, such as the pauses of a cleanup.

const MAX_TIMER_MS = 2 ** 31 - 1

/** Returns what `act` returns. The process does not end by itself until that settles, but waits `longestMs` at most. */
export async function keepAliveDuring<T> (act: () => Promise<T>, longestMs = MAX_TIMER_MS): Promise<T> {
  const timer = setTimeout(() => {}, longestMs)
  try {
    return await act()
  } finally {
    clearTimeout(timer)
  }
}
