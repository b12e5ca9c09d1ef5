// Several real processes, or threads, with applications on one store, and the connection of the test to each of them.
import cluster from 'node:cluster'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { Test } from 'tap'
import type { CommonOptions } from '../../plugin.js'
import type { BackendChoice } from '../../registry/names.js'
import type { CacheStats } from '../../response/observe/observer.js'
import { newFolder } from './folder.js'
import { until } from './redis-server.js'
import { ServerProcess } from './server-process.js'
import { SharedData } from './shared-data.js'

/** What a peer is started with, as JSON. */
export interface PeerSetup {
  readonly choice: BackendChoice
  readonly options: CommonOptions
  /** The options of all routes. */
  readonly cache: object
  /** Where the shared data is. */
  readonly folder: string
}

/** What the handlers of a peer do: take so long, wait until `open()`, fail, add fields. */
export interface Behaviour {
  readonly ms?: number
  readonly holds?: boolean
  readonly fails?: boolean
  readonly fields?: Record<string, string>
}

/** A call to the backend: an entry is settled, a key is claimed, a lease is renewed. */
export type Point = 'settle' | 'claim' | 'renew'

export interface PeerCall { readonly id: number, readonly name: string, readonly values: readonly unknown[] }

type Message = { readonly id: number, readonly result?: unknown, readonly failure?: string } |
  { readonly event: 'reached' } | { readonly event: 'ready', readonly port: number }

export interface PeerResponse {
  readonly status: number
  /** The number that the handler read; -1 if the response has none. */
  readonly number: number
  readonly cacheStatus: string
  readonly ms: number
}

/** How a peer is started. */
export type Manner = 'fork' | 'cluster' | 'threads'

export interface PeersSpec {
  readonly count?: number
  readonly manner?: Manner
  readonly options?: CommonOptions & { readonly lease?: string | false }
  /** Options of each peer, beside those of all. */
  readonly each?: (at: number) => CommonOptions
  readonly cache?: object
  /** The environment of each peer, beside that of the test. */
  readonly env?: (at: number) => Record<string, string>
}

const CHILD = fileURLToPath(new URL('children/peer.js', import.meta.url))
const agent = new Agent({ keepAlive: true, maxSockets: Infinity })
const LONGEST_CALL_MS = 20_000

/** With LEASE=false, all peers run without leases. Then most of these tests must fail. */
const withoutLeases: { lease?: false } = process.env.LEASE === 'false' ? { lease: false } : {}

export class Peer extends ServerProcess {
  /** How often a handler has come to where it waits. */
  reachedTimes = 0
  readonly #from: ChildProcess | Worker
  readonly #waiting = new Map<number, (message: Extract<Message, { id: number }>) => void>()
  readonly #ready: Promise<number>
  #calls = 0
  #port = 0

  constructor (from: ChildProcess | Worker) {
    super()
    this.#from = from
    if (!(from instanceof Worker)) this.runs(from)
    this.#ready = new Promise((resolve, reject) => {
      from.once('exit', (code) => reject(new Error(`a peer ended with ${code}`)))
      ;(from as ChildProcess).on('message', (message: Message) => {
        if ('id' in message) this.#waiting.get(message.id)?.(message)
        else if (message.event === 'ready') resolve(message.port)
        else this.reachedTimes++
      })
    })
    this.#ready.catch(() => {})
  }

  async ready (): Promise<this> {
    this.#port = await this.#ready
    return this
  }

  get pid (): number | undefined {
    return this.#from instanceof Worker ? undefined : this.#from.pid
  }

  /** Resolves when a signal has stopped the process. Needs /proc. */
  async stopped (): Promise<void> {
    await until('the process is stopped', () => /\) T /.test(readFileSync(`/proc/${this.pid}/stat`, 'utf8')))
  }

  /** Resolves when the process has ended. */
  async ended (): Promise<void> {
    const child = this.#from as ChildProcess
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }

  /** Ends the process or thread. */
  async end (): Promise<void> {
    if (this.#from instanceof Worker) await this.#from.terminate()
    else await this.kill()
  }

  /** Calls a method there, and resolves to its result. Rejects if there is none after 20 seconds. */
  async call (name: string, ...values: unknown[]): Promise<any> {
    const id = this.#calls++
    const message = await new Promise<Extract<Message, { id: number }>>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${name} does not return`)), LONGEST_CALL_MS)
      this.#waiting.set(id, (message) => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        resolve(message)
      })
      const call: PeerCall = { id, name, values }
      if (this.#from instanceof Worker) this.#from.postMessage(call)
      else this.#from.send(call, (err) => { if (err !== null) reject(err) })
    })
    if (message.failure !== undefined) throw new Error(message.failure)
    return message.result
  }

  async behave (to: Behaviour): Promise<void> { await this.call('behave', to) }
  async stats (): Promise<CacheStats> { return await this.call('stats') }
  async invalidate (target: object): Promise<void> { await this.call('invalidate', target) }
  /** Lets go the handlers that wait. */
  async open (): Promise<void> { await this.call('open') }

  /** Resolves when a handler waits, for the `times`-th time. */
  async reached (times = 1): Promise<void> {
    await until('a handler runs', () => this.reachedTimes >= times)
  }

  /** Sends a request through a socket, with the Host of all peers, which is a part of the key. Rejects if the peer ends meanwhile. */
  async ask (path: string, method = 'GET'): Promise<PeerResponse> {
    const began = performance.now()
    return await new Promise((resolve, reject) => {
      const headers = { host: 'peers.test' }
      const sent = request({ host: '127.0.0.1', port: this.#port, path, method, headers, agent }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => { text += chunk })
        response.on('error', reject).on('end', () => {
          const number = Number(/"number":(\d+)/.exec(text)?.[1] ?? -1)
          const cacheStatus = String(response.headers['cache-status'] ?? '')
          resolve({ status: response.statusCode!, number, cacheStatus, ms: performance.now() - began })
        })
      })
      sent.on('error', reject).end()
    })
  }
}

function start (setup: PeerSetup, manner: Manner, env: Record<string, string>): Peer {
  // Without the loaders that tap adds, so that many processes start fast.
  const { NODE_OPTIONS: _, ...own } = process.env
  const given = JSON.stringify(setup)
  if (manner === 'threads') return new Peer(new Worker(CHILD, { workerData: given, env: { ...own, ...env } }))
  if (manner === 'fork') return new Peer(fork(CHILD, [given], { execArgv: [], env: { ...own, ...env } }))
  cluster.setupPrimary({ exec: CHILD, args: [given], execArgv: [] })
  return new Peer(cluster.fork({ NODE_OPTIONS: '', ...env }).process)
}

export interface Peers {
  readonly peers: readonly Peer[]
  readonly data: SharedData
}

let groups = 0

/** Starts peers on a store, in a namespace of their own. They end with the test. */
export async function startPeers (
  t: Test, choice: BackendChoice, { count = 4, manner = 'fork', options, each, cache = { ttl: '10m' }, env }: PeersSpec = {}
): Promise<Peers> {
  const folder = newFolder(t)
  const data = new SharedData(folder, true)
  const namespace = `peers ${groups++}`
  t.teardown(() => data.close())
  const peers = Array.from({ length: count }, (_, at) => {
    // A busy machine is slow, and what is tested is not the deadline.
    const all = { deadline: '5s', namespace, ...options, ...each?.(at), ...withoutLeases } as const
    const peer = start({ choice, options: all, cache, folder }, manner, env?.(at) ?? {})
    t.teardown(async () => await peer.end())
    return peer
  })
  await Promise.all(peers.map(async (peer) => await peer.ready()))
  return { peers, data }
}
