// Plays a plan: one action after another on one application, and waits after each until nothing moves by itself any more.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { InvalidationTarget, ResponseCache, ResponseCacheOptions } from '../../plugin.js'
import { turns } from '../support/barrier.js'
import { Quiet } from '../support/oracles.js'
import { application } from './application.js'
import { overHttp1, overHttp2, type Exchange } from './clients.js'
import type { Received } from './http1.js'
import { judge } from './model.js'
import type { Action, Plan } from './plan.js'
import { hostOf, routeOf } from './routes.js'
import type { Sabotage } from './sabotages.js'
import { World, type Change, type Sent } from './world.js'

export interface Setting {
  /** 'none': there is no cache. */
  readonly backend: 'memory' | 'sqlite' | 'none'
  /** Rules that say nothing. */
  readonly without?: ReadonlySet<string>
  readonly sabotage?: Sabotage
}

export interface Played { readonly wrong: readonly string[], readonly requests: number, readonly hits: number }

/** A request that takes longer hangs. */
const LONGEST_WAIT_MS = 8_000
/** So many turns of the event loop a request that nobody holds up takes at most. */
const MOST_TURNS = 2_000
const LONGEST_CLOSE_MS = 2_000

export async function play (plan: Plan, { backend, without = new Set(), sabotage }: Setting): Promise<Played> {
  const world = new World(plan, without)
  const quiet = new Quiet()
  const folder = backend === 'sqlite' ? mkdtempSync(join(tmpdir(), 'response-cache-')) : undefined
  const choice = folder === undefined ? { backend } : { backend, options: { path: join(folder, 'cache.db') } }
  const app = await application(world, backend === 'none' ? undefined : choice as ResponseCacheOptions, sabotage)
  const game = new Game(world, app, sabotage)
  for (const action of plan.actions) await game.act(action)
  await game.end()
  for (const heard of await quiet.end()) world.fault('quiet', heard)
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  return { wrong: world.wrong, requests: world.sent.size, hits: game.hits }
}

class Game {
  readonly #world: World
  readonly #app: FastifyInstance
  readonly #port: number
  /** What is told of changes. */
  readonly #cache: ResponseCache | undefined
  /** Connections that are open. */
  readonly #open = new Set<Promise<unknown>>()
  readonly #exchanges: Exchange[] = []
  hits = 0

  constructor (world: World, app: FastifyInstance, sabotage: Sabotage | undefined) {
    this.#world = world
    this.#cache = sabotage?.isDeaf === true ? undefined : (app as { cache?: ResponseCache }).cache
    this.#app = app
    this.#port = (app.server.address() as AddressInfo).port
  }

  async act (action: Action): Promise<void> {
    if (action.do === 'pass') await this.#world.clock.pass(action.ms)
    else if (action.do === 'release') this.#release(action.nth)
    else if (action.do === 'change') await this.#change(action)
    else await this.#ask(action)
    await this.#settled()
  }

  /** All that is held goes on, all that was asked for comes, and the application closes; or it closes first. */
  async end (): Promise<void> {
    const { plan, sent, gates } = this.#world
    if (plan.endsHeld) for (const one of sent.values()) one.left ||= !one.isOver
    const closing = plan.endsHeld ? this.#close() : undefined
    for (const gate of gates.values()) gate.open()
    if (!await inTime(Promise.all(this.#open), LONGEST_WAIT_MS)) {
      const waiting = [...sent.values()].filter(({ left, isOver }) => !left && !isOver)
      this.#world.fault('hang', waiting.map(({ id, asked }) => `${id} ${JSON.stringify(asked)}`).join(', '))
    }
    for (const exchange of this.#exchanges) exchange.destroy()
    await this.#settled()
    this.#judgeAfter()
    await (closing ?? this.#close())
  }

  async #close (): Promise<void> {
    if (!await inTime(this.#app.close(), LONGEST_CLOSE_MS)) this.#world.fault('close', 'it takes too long')
  }

  async #ask ({ requests, cut, ...connection }: Extract<Action, { do: 'ask' }>): Promise<void> {
    const sent = requests.map((asked) => this.#world.send(asked))
    for (const one of sent) one.left = cut !== undefined
    const exchange = (this.#world.plan.protocol === 'http1' ? overHttp1 : overHttp2)({
      port: this.#port, sent, ...connection, ...(cut !== undefined && { cut })
    })
    const over = exchange.done.then(({ responses, rest }) => {
      if (rest.byteLength > 0 && cut === undefined) {
        this.#world.fault(
          'rest', `${rest.byteLength} bytes after ${JSON.stringify(requests)}: ${JSON.stringify(rest.toString('latin1', 0, 200))}`)
      }
      // A handler that breaks off ends the connection, and with it what others asked for on it.
      const isBroken = [...this.#world.runs.values()].some((run) =>
        run.isBroken && sent.some(({ identity, sentSeq }) => identity === run.sent.identity && sentSeq < run.finishedSeq))
      sent.forEach((one, at) => {
        if (isBroken && responses[at]?.isWhole !== true) one.left = true
        this.#over(one, responses[at])
      })
      this.#open.delete(over)
    })
    this.#open.add(over)
    this.#exchanges.push(exchange)
  }

  #over (sent: Sent, given: Received | undefined): void {
    sent.isOver = true
    if (given === undefined) {
      if (!sent.left) this.#world.fault('whole', `nothing came for ${sent.id} ${JSON.stringify(sent.asked)}`)
      return
    }
    sent.given = given
    const { fields, status, isWhole } = given
    if (/; hit/.test(fields['cache-status'] ?? '')) this.hits++
    if (sent.change !== undefined && status < 400 && isWhole) this.#world.acknowledge(sent.change)
    judge(this.#world, sent, given)
    const run = this.#world.runs.get(fields['x-run'] ?? '')
    if (run !== undefined && fields.etag !== undefined && !this.#world.tags.has(fields.etag)) this.#world.tags.set(fields.etag, run)
  }

  async #change ({ by, asked, soft }: Extract<Action, { do: 'change' }>): Promise<void> {
    const route = routeOf(asked)
    const target = route.target(asked)
    const host = hostOf(asked, this.#world.plan.trustsProxy)
    const softly = soft === true ? { soft } : {}
    const isAsked = (sent: Sent): boolean => sent.target === target && sent.route.name !== 'list' && sent.route.method === 'GET'
    const aims: Record<typeof by, readonly [InvalidationTarget | undefined, Change['covers']]> = {
      tag: [{ tags: [`id-${asked.id}`], ...softly }, (sent) => sent.asked.id === asked.id && typeof sent.route.options.tags === 'function'],
      all: [{ tags: ['all'], ...softly }, () => true],
      path: [{ url: target }, isAsked],
      href: [{ url: `http://${host}${target}` }, (sent) => isAsked(sent) && sent.route.hostCounts && sent.host === host],
      route: [{ route: route.pattern }, (sent) => sent.route === route],
      clear: [undefined, () => true]
    }
    const [aim, covers] = aims[by]
    const change = this.#world.change(covers, soft)
    const done = Promise.resolve(aim === undefined ? this.#cache?.clear() : this.#cache?.invalidate(aim))
      .catch((err) => this.#world.fault('invalidate', String(err)))
    if (!await inTime(done, LONGEST_WAIT_MS)) this.#world.fault('hang', `${by} ${JSON.stringify(asked)}`)
    this.#world.acknowledge(change)
  }

  #release (nth: number): void {
    const { held } = this.#world
    held[nth % held.length]?.open()
  }

  /** Settles when nothing moves by itself: each request is over, or waits for a handler that is held. */
  async #settled (): Promise<void> {
    const moves = (): boolean => this.#world.isBusy || (this.#world.held.length === 0
      ? this.#open.size > 0
      : [...this.#world.sent.values()].some(({ arrived, left, isOver }) => !arrived && !left && !isOver))
    await turns(2)
    for (let times = 0; times < MOST_TURNS && moves(); times++) await turns(1)
    await turns(6)
  }

  #judgeAfter (): void {
    for (const { id, asked, given, seenAfter, left } of this.#world.sent.values()) {
      const run = given?.fields['x-run']
      if (!left && given?.isWhole === true && run !== undefined && asked.mood !== 'hijack' && seenAfter !== run) {
        this.#world.fault('observed',
          `hooks behind the response of ${id} ${JSON.stringify(asked)} saw ${String(seenAfter)} for ${run}: ${JSON.stringify(given.fields)}`)
      }
    }
    // Fastify itself does not destroy a web stream whose client has left before.
    for (const [{ destroyed }, { id, sent }] of this.#world.streams) {
      if (!destroyed && !sent.left) {
        this.#world.fault('streams', `that of ${id} for ${sent.id} ${JSON.stringify(sent.asked)} was neither read nor destroyed`)
      }
    }
  }
}

async function inTime (work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => { timer = setTimeout(() => resolve(false), ms) })
  return await Promise.race([work.then(() => true), late]).finally(() => clearTimeout(timer))
}
