// Keeps the process alive during work that would not keep it alive itself, such as the pauses of a cleanup.

const MAX_TIMER_MS = 2 ** 31 - 1

/** Calls `act` and returns its result. Keeps the process alive until `act` has settled, but not longer than `longestMs`. */
export async function keepAliveDuring<T> (act: () => Promise<T>, longestMs = MAX_TIMER_MS): Promise<T> {
  const timer = setTimeout(() => {}, longestMs)
  try {
    return await act()
  } finally {
    clearTimeout(timer)
  }
}
