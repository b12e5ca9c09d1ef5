// A process that replaces the file at the path of a SQLite backend and changes entries in the new one. Arguments: path, way.
import { renameSync, rmSync } from 'node:fs'
import { builtIns } from '../../../backends/index.js'

const [path = '', way = ''] = process.argv.slice(2)

async function change (path: string): Promise<void> {
  const cache = await builtIns().open({ backend: 'sqlite', options: { path } })
  await cache.set('changed', { value: Buffer.from('new'), expiresAt: Infinity })
  await cache.delete('invalidated')
  await cache.close()
}

const WAYS: Record<string, () => Promise<void>> = {
  async removal () {
    for (const rest of ['', '-wal', '-shm']) rmSync(path + rest)
    await change(path)
  },
  async replacement () {
    await change(`${path}.other`)
    renameSync(`${path}.other`, path)
  },
  async 'remove the log' () {
    for (const rest of ['-wal', '-shm']) rmSync(path + rest)
    await change(path)
  }
}

await WAYS[way]!()
