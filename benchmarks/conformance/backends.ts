// The backends on which the suite runs, and their options for one run in one folder.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { ResponseCacheOptions } from 'fastify-response-cache'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const OPTIONS: Readonly<Record<string, (folder: string) => ResponseCacheOptions>> = {
  memory: () => ({ backend: 'memory' }),
  sqlite: (folder) => ({ backend: 'sqlite', options: { path: join(folder, 'cache.db') } }),
  file: (folder) => ({ backend: 'file', options: { dir: join(folder, 'entries') } }),
  redis: (folder) => ({ backend: 'redis', options: { url: join(folder, 'redis.sock') } }),
  tiered: (folder) => ({
    backend: 'tiered', options: { tiers: [{ backend: 'memory' }, { backend: 'sqlite', options: { path: join(folder, 'cache.db') } }] }
  })
}

export const BACKENDS: readonly string[] = Object.keys(OPTIONS)

/** Returns the options of a backend for one run. For `redis`, starts a server, which ends when `signal` is aborted. */
export async function backendFor (name: string, folder: string, signal: AbortSignal): Promise<ResponseCacheOptions> {
  if (name === 'redis') await startRedis(folder, signal)
  return OPTIONS[name]!(folder)
}

async function startRedis (folder: string, signal: AbortSignal): Promise<void> {
  const child = spawn('redis-server', ['--port', '0', '--unixsocket', join(folder, 'redis.sock'), '--save', '', '--dir', folder], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  await once(child, 'spawn')
  signal.addEventListener('abort', () => child.kill())
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes('Ready to accept connections') || line.includes('ready to accept connections')) break
  }
  child.stdout.resume()
}
