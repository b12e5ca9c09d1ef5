// Keeps the process alive while something is awaited that would not do so itself, such as the pauses of a cleanup.

const MAX_TIMER_MS = 2 ** 31 - 1

/** Returns what `act` does. Until that settles, and for `longestMs` at most, the process does not end by itself. */
export async function keepAliveDuring<T> (act: () => Promise<T>, longestMs = MAX_TIMER_MS): Promise<T> {
  const timer = setTimeout(() => {}, longestMs)
  try {
    return await act()
  } finally {
    clearTimeout(timer)
  }
}
