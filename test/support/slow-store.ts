// A slow store: its changes wait in queues, and take their time.
import { promises } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const CHANGE_MS = 50

/** Makes renames and removals slow, as on a disk that others write to. Returns a function that ends that. */
export function slowRenames (): () => void {
  const { rename, unlink } = promises
  Object.assign(promises, {
    async rename (...args: Parameters<typeof rename>) { await sleep(CHANGE_MS); await rename(...args) },
    async unlink (...args: Parameters<typeof unlink>) { await sleep(CHANGE_MS); await unlink(...args) }
  })
  return () => { Object.assign(promises, { rename, unlink }) }
}

/** Runs `act` after the calls before it, `atOnce` at a time, each in `ms`. For `ChaosMethod.instead`. */
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

/** Runs `act` once fewer than `count` earlier calls are running. */
export function fewAtOnce (count: number): <T>(act: () => Promise<T>) => Promise<T> {
  let free = count
  const waiting: Array<() => void> = []
  return async (act) => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await act()
    } finally {
      const next = waiting.shift()
      if (next === undefined) free++
      else next()
    }
  }
}
