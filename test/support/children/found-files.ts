// A process that opens a backend on existing files, on a signal if given, and prints what it read. Arguments: backend, options, name.
import { existsSync, writeFileSync, writeSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { builtIns } from '../../../backends/index.js'

const [backend = '', options = '', name = '', signal = ''] = process.argv.slice(2)

if (signal !== '') {
  // Loads the driver early, so that several processes open at the same moment.
  await builtIns().open({ backend: 'sqlite', options: { path: ':memory:' } })
  writeFileSync(`${signal}-${name}`, '')
  while (!existsSync(signal)) await wait(1)
}

const warnings: string[] = []
const log = { debug () {}, info () {}, error () {}, warn: (_details: object, message: string) => { warnings.push(message) } }
const textOf = async (key: string): Promise<string> => Buffer.from((await cache.get(key))?.value ?? 'nothing').toString()

const cache = await builtIns().open({ backend, options: JSON.parse(options) } as never, { log })
const kept = await textOf('kept')
await cache.set(name, { value: Buffer.from(name), expiresAt: Infinity })
const set = await textOf(name)
await cache.close()
writeSync(1, JSON.stringify({ kept, set, warnings: warnings.length }))
