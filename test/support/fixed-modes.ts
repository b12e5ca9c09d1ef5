// A file system where every file and folder has the mode 777 and chmod has no effect, like WSL's /mnt/c and many SMB mounts.
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import type { Test } from 'tap'

/** New files and folders get the mode 777, and keep it until the test ends. */
export function fixModes (t: Test): void {
  const { openSync, mkdirSync, chmodSync, fchmodSync } = fs
  const set = (calls: Partial<typeof fs>): void => {
    Object.assign(fs, calls)
    syncBuiltinESMExports()
  }
  t.teardown(() => set({ openSync, mkdirSync, chmodSync, fchmodSync }))
  set({
    openSync (path, flags, mode) {
      const isNew = !fs.existsSync(path)
      const file = openSync(path, flags, mode)
      if (isNew) fchmodSync(file, 0o777)
      return file
    },
    mkdirSync: ((path: string, options?: fs.MakeDirectoryOptions) => {
      mkdirSync(path, options)
      chmodSync(path, 0o777)
    }) as typeof mkdirSync,
    chmodSync () {},
    fchmodSync () {}
  })
}
