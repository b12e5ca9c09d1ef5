// Keeps the process alive during work that does not do so itself, such as a cleanup that pauses between its steps.

const MAX_TIMER_MS = 2 ** 31 - 1

/** Calls `act` and returns its result. While `act` runs, keeps the process alive, but for at most `longestMs`. */
export async function keepAliveDuring<T> (act: () => Promise<T>, longestMs = MAX_TIMER_MS): Promise<T> {
  const timer = setTimeout(() => {}, longestMs)
  try {
    return await act()
  } finally {
    clearTimeout(timer)
  }
}
