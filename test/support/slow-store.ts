// A store that is slow: what changes it stands in one queue, and takes its time.
import { setTimeout as sleep } from 'node:timers/promises'

/** Does `act` after those that came before it, `atOnce` at a time, each in `ms`. For `ChaosMethod.instead`. */
export function oneQueue (ms: number, atOnce: number): (act: () => unknown) => Promise<unknown> {
  const places = Array.from({ length: atOnce }, () => Promise.resolve())
  let next = 0
  return async (act) => {
    const at = next++ % atOnce
    const turn = places[at]!.then(() => sleep(ms))
    places[at] = turn
    await turn
    return await act()
  }
}
