// The servers that backends need: a redis-server and the HTTP service, each in its own process on a free port.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { Child } from '../core/child.js'
import { freePort } from './free-port.js'

export interface Servers {
  readonly redisUrl: string
  readonly httpUrl: string
  stop (): Promise<void>
}

const START_MS = 10_000

/** Starts both servers. Throws an error with a message for the user if there is no redis-server. */
export async function startServers (folder: string): Promise<Servers> {
  const service = new Child(new URL('http-service.js', import.meta.url))
  try {
    const httpPort = await service.call<number>('listen', undefined, START_MS)
    const { redis, port } = await startRedis(folder)
    return {
      redisUrl: `redis://127.0.0.1:${port}`,
      httpUrl: `http://127.0.0.1:${httpPort}`,
      async stop () {
        // Ctrl-C reaches redis-server too, so it may have ended already.
        const ended = redis.exitCode === null && redis.signalCode === null ? once(redis, 'exit') : undefined
        redis.kill()
        await Promise.all([ended, service.stop()])
      }
    }
  } catch (error) {
    await service.stop()
    throw error
  }
}

/** Starts a redis-server in this folder. Throws an error with a message for the user if there is none. */
export async function startRedis (folder: string): Promise<{ redis: ChildProcess, port: number }> {
  const port = await freePort()
  const redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no'],
    { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise<void>((resolve, reject) => {
    redis.once('error', (cause) => reject(new Error('this benchmark needs redis-server (Debian: apt-get install redis-server)', { cause })))
    redis.once('exit', () => reject(new Error('redis-server ended before it was ready')))
    createInterface({ input: redis.stdout }).on('line', (line) => { if (line.includes('Ready to accept connections')) resolve() })
  })
  return { redis, port }
}
